from pathlib import Path

from typer import Exit

from tunecli.cli.shared import options
from tunecli.cli.shared.streams import console


def check(
    file: options.FileArgument,
    set_: options.SetOption = None,
    code: options.CodeOption = None,
    runs: options.RunsOption = Path("runs"),
) -> None:
    """Check a study file and its data, and train a few batches.

    Together, the trained configurations cover every pair of options from two different choices of
    the study file.

    Example: tunecli check studies/digits.yaml
    """
    from tunecli.search.try_optuna import refuse_what_optuna_refuses
    from tunecli.study_file.study_file import read_study_file

    allowed = options.allowed_by(file, code)
    study = read_study_file(file, set_ or [], allowed)
    refuse_what_optuna_refuses(study)

    from tunecli.report.screen import check_lines, column_lines  # slow, so after the mistakes
    from tunecli.study_file.text.counts import count

    out = console(stderr=False)
    out.print(check_lines.space(study))
    if study.constraints or len(study.objectives) > 1:
        out.print(check_lines.goals(study))

    from tunecli.data.rows.workspace import Workspace
    from tunecli.search.prune.judge import first_verdict
    from tunecli.search.suggest.blind_trials import blind_trials
    from tunecli.search.suggest.samplers import drawn_independently
    from tunecli.search.workers.check_study import StudyCheck

    with console().status("reading the data …") as status:
        workspace = Workspace(allowed.folder, runs.absolute() / ".cache", allowed, True)
        checking = StudyCheck(study, workspace)
        rehearsed = []
        for point, rehearsal in checking.rehearsals():
            rehearsed.append((point, rehearsal))
            of_all = f"{len(rehearsed)} of {count(len(checking.points), 'configuration')}"
            status.update(f"trained {of_all} for two batches")
    conclusion = checking.conclude(rehearsed)
    if checking.columns:
        out.print(column_lines.column_table(checking.columns))
        out.print(column_lines.warnings(checking.columns, study.data))
    if study.parameters:
        blind = blind_trials(study.search, len(study.parameters))
        out.print(check_lines.sampler_lines(study, blind))
    out.print(check_lines.rehearsal_lines(conclusion, study.gates))
    independent = drawn_independently(study.search.sampler.name, study.parameters)
    max_time = study.training.max_time
    idle = ""
    if (pruner := study.search.pruner) is not None and "pruner" not in study.left_open:
        verdict = first_verdict(pruner, conclusion.n_evaluations)
        idle = check_lines.idle_pruner(pruner, verdict, conclusion.n_evaluations)
    n_jobs, n_offered = conclusion.n_jobs, conclusion.n_offered
    out.print(check_lines.remarks(study.search, independent, n_jobs, max_time, idle, n_offered))
    if conclusion.mistakes:
        raise Exit(2)
    if conclusion.keeps_none:
        raise Exit(1)  # as a search would
