"""A study in a few lines of Markdown, for a pull request or a lab book.

Foreign text is escaped so that it is shown literally: it cannot begin a tag, link, table cell or
heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.report.analysis.pareto import front
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.phrases import wording
from tunecli.report.screen.comparison_lines import study_row
from tunecli.report.screen.trial_tables import TIED
from tunecli.report.studies.comparison import Comparison
from tunecli.study_file.text.counts import count

_VERSIONS = ("tunecli", "torch", "optuna", "python", "device")
_FINGERPRINT = 12  # digits out of 64; enough to see that two studies differ


def to_markdown(evidence: Evidence, findings: Sequence[Finding], top: int = 5) -> str:
    """Return heading, best trial, findings, top trials, data and versions as Markdown.

    Args:
        findings: the findings in the order in which they are listed.
        top: rows of the table.
    """
    study = evidence.study
    goal = ", ".join(f"{one.direction} {escaped(one.metric)}" for one in study.objectives)
    lines = [f"## {escaped(study.name)}: {goal}", ""]
    lines += [*_best(evidence), ""]
    if findings:
        lines += [*(line for finding in findings for line in _finding(finding)), ""]
    if study.further_objectives:
        lines += [*_front(study), ""]
    elif evidence.ranked:
        lines += [*_table(evidence, top), ""]
    lines += [f"{entry}  " for entry in _origin(study)]
    return "\n".join(lines).rstrip() + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Return a table of the studies, the best first."""
    metric = escaped(comparison.metric)
    names = ", ".join(escaped(one.study.name) for one in comparison.contenders)
    lines = [f"## {names}: {comparison.direction} {metric}", ""]
    lines += _row(["study", metric, "trial", "time", "trials"])
    lines += _row(["---", "---", "---:", "---:", "---"])
    for one in comparison.ordered:
        name, *cells = study_row(comparison, one)
        lines += _row([escaped(name), *cells])
    for parameter, options in comparison.shared_choices().items():
        lines += [
            "",
            f"Best for each option of {code(parameter)}, with everything else tuned:",
            "",
        ]
        studies = [one.name for one in comparison.contenders]
        lines += _row(["option", *map(escaped, studies)])
        lines += _row(["---", *["---:"] * len(studies)])
        for option in options:
            branches = [option.branches.get(name) for name in studies]
            scores = [wording.score(b.best) if b is not None else "" for b in branches]
            lines += _row([escaped(option.name), *scores])
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return foreign text in one line, shown literally; an `@` in it mentions nobody."""
    return re.sub(r"([\\`*_{}\[\]<>|~$&])", r"\\\1", wording.plain(text)).replace("@", "@\u200b")


def code(text: str) -> str:
    """Return foreign text as code, fenced by more backticks than it has in a row."""
    plain = wording.plain(text)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    room = " " if plain[:1] == "`" or plain[-1:] == "`" else ""
    return f"{fence}{room}{plain}{room}{fence}"


def _best(evidence: Evidence) -> Iterator[str]:
    study = evidence.study
    counts = wording.tally(ranking.counts(study)) or "none yet"
    best = next(iter(evidence.ranked), None)
    if best is not None and study.further_objectives:
        yield f"{count(len(study.trials), 'trial')} ({counts})"
        return
    if best is None:
        yield f"No trial is complete yet ({counts})."
        return
    folds = f" over {len(best.fold_scores)} folds" if best.spread is not None else ""
    score = wording.with_spread(best.value, best.spread)
    yield f"**{escaped(study.metric)} {score}**{folds}, trial {best.number} ({counts})"
    for text in undefined_metrics(best, study.curve(best)).values():
        yield ""
        yield escaped(text)
    params = wording.assignments(best.params, study.gates)
    if params:
        yield ""
        yield code(" ".join(params))


def _finding(finding: Finding) -> Iterator[str]:
    yield f"- **{finding.severity}:** {escaped(finding.sentence)}"
    if finding.advice:
        yield f"  {escaped(finding.advice)}"
    yield from (f"  - {code(change.line)}" for change in finding.changes)


def _table(evidence: Evidence, top: int) -> Iterator[str]:
    study = evidence.study
    tied = {trial.number for trial in evidence.tied[1:]}
    yield from _row(["trial", escaped(study.metric), "time", "parameters"])
    yield from _row(["---:", "---", "---:", "---"])
    for trial in evidence.ranked[:top]:
        score = wording.with_spread(trial.value, trial.spread, evidence.ranked[0].value)
        yield from _row(
            [
                str(trial.number),
                f"{score} ≈" if trial.number in tied else score,
                wording.duration(trial.seconds) if trial.seconds else "–",
                _parameters(study, trial),
            ]
        )
    if tied & {trial.number for trial in evidence.ranked[:top]}:
        yield ""
        yield TIED


def _front(study: StudyRecord) -> Iterator[str]:
    pareto = front(study)
    yield f"Pareto front, {len(pareto.trials)} of {pareto.n_complete} complete trials:"
    yield ""
    names = [escaped(objective.metric) for objective in study.objectives]
    yield from _row(["place", "trial", *names, "parameters"])
    yield from _row(["---:", "---:", *("---" for _ in names), "---"])
    for place, trial in enumerate(pareto.trials, 1):
        values = zip(study.objectives, trial.values, strict=True)
        cells = [wording.metric_text(objective.metric, value) for objective, value in values]
        yield from _row([str(place), str(trial.number), *cells, _parameters(study, trial)])


def _parameters(study: StudyRecord, trial: TrialRecord) -> str:
    return escaped(" ".join(wording.assignments(trial.params, study.gates, 3)))


def _row(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _origin(study: StudyRecord) -> Iterator[str]:
    if study.summary is not None:
        lines = dict(wording.data_lines(study.summary))
        fingerprint = study.summary.fingerprint[:_FINGERPRINT]
        data = f"Data: {escaped(lines['data'])}; {escaped(lines['validation'])}"
        yield f"{data}; fingerprint {code(fingerprint)}" if fingerprint else data
    known = [
        f"{name} {escaped(str(study.environment[name]))}"
        for name in _VERSIONS
        if name in study.environment
    ]
    if known:
        yield f"Versions: {', '.join(known)}"
