from __future__ import annotations

from pathlib import Path

import typer

from tunecli.cli.options import CodeOption, FileArgument, RunsOption, SetOption
from tunecli.cli.permitting import allowed_by
from tunecli.cli.streams import console


def check(
    file: FileArgument,
    set_: SetOption = None,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Check a study file: its search space, its data, and two batches of every pair of choices.

    Example: tunecli check studies/digits.yaml
    """
    from tunecli.report import check_lines, column_lines
    from tunecli.search.constructible import refuse_what_optuna_refuses
    from tunecli.study_file.study_file import load

    allowed = allowed_by(file, code)
    study = load(file, set_ or [], allowed)
    refuse_what_optuna_refuses(study)
    out = console(stderr=False)
    out.print(check_lines.space(study))
    if study.constraints or len(study.objectives) > 1:
        out.print(check_lines.goals(study))

    from tunecli.data.workspace import Workspace
    from tunecli.search.pruning import first_verdict
    from tunecli.search.rehearsing import StudyCheck
    from tunecli.search.samplers import drawn_independently

    with console().status("reading the data …") as status:
        workspace = Workspace(allowed.folder, runs.absolute() / ".cache", allowed)
        checking = StudyCheck(study, workspace)
        rehearsed = []
        for point, rehearsal in checking.rehearsals():
            rehearsed.append((point, rehearsal))
            status.update(f"rehearsing: {len(rehearsed)} of {len(checking.points)}")
    found = checking.conclude(rehearsed)
    if checking.columns:
        out.print(column_lines.columns(checking.columns))
        out.print(column_lines.warnings(checking.columns, study.data))
    out.print(check_lines.rehearsal(found, study.gates))
    independent = drawn_independently(study.search.sampler.name, study.parameters)
    max_time = study.training.max_time
    idle = ""
    if (pruner := study.search.pruner) is not None:
        verdict = first_verdict(pruner, found.n_evaluations)
        idle = check_lines.idle_pruner(pruner, verdict, found.n_evaluations)
    out.print(check_lines.remarks(study.search, independent, found.n_jobs, max_time, idle))
    if found.mistakes:
        raise typer.Exit(2)
    if found.keeps_none:
        raise typer.Exit(1)  # as a search would
