"""A study in a few lines of Markdown, for a pull request or a lab book.

Foreign text is escaped so that it is shown literally: it cannot begin a tag, link, table cell or
heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tunecli.database.records import StudyRecord
from tunecli.report.analysis import ranking
from tunecli.report.analysis.pareto import front
from tunecli.report.analysis.rivals import rival_scores
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.screen.comparison_lines import study_row
from tunecli.report.screen.trial_tables import mark_notes, marked_score, parameters_text
from tunecli.report.studies.comparison import Comparison, SharedOption
from tunecli.report.studies.target_scores import target_tables
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
    goal = ", ".join(
        f"{one.direction} {escaped(study.titled(one.metric))}" for one in study.objectives
    )
    lines = [f"## {escaped(study.name)}: {goal}", ""]
    lines += [*_best(evidence), ""]
    if findings:
        lines += [*(line for finding in findings for line in _finding(finding)), ""]
    if study.further_objectives:
        lines += [*_front(study), ""]
    elif evidence.ranked:
        lines += [*_rivals(evidence), *_targets(evidence)]
        lines += [*_top(evidence, top), ""]
    lines += [f"{entry}  " for entry in _origin(study)]
    return "\n".join(lines).rstrip() + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Return a table of the studies, the best first."""
    metric = escaped(comparison.title)
    names = ", ".join(escaped(one.study.name) for one in comparison.contenders)
    lines = [f"## {names}: {comparison.direction} {metric}", ""]
    headers = ["study", metric, "trial", "time", "trials"]
    rows = (study_row(comparison, one) for one in comparison.ordered)
    cells = ([escaped(name), *others] for name, *others in rows)
    lines += _table(headers, ["---", "---", "---:", "---:", "---"], cells)
    studies = [one.name for one in comparison.contenders]
    for parameter, options in comparison.shared_choices().items():
        title = f"Best for each option of {code(parameter)}, with everything else tuned:"
        lines += ["", title, ""]
        scores = ([escaped(one.name), *_scores(one, studies)] for one in options)
        headers = ["option", *map(escaped, studies)]
        lines += _table(headers, ["---", *["---:"] * len(studies)], scores)
    return "\n".join(lines) + "\n"


def _scores(option: SharedOption, studies: Sequence[str]) -> list[str]:
    branches = [option.branches.get(name) for name in studies]
    return [wording.score(branch.best) if branch is not None else "" for branch in branches]


def escaped(text: str) -> str:
    """Return foreign text in one line, shown literally; an `@` in it mentions nobody."""
    return re.sub(r"([\\`*_{}\[\]<>|~$&])", r"\\\1", foreign_text.plain(text)).replace(
        "@", "@\u200b"
    )


def code(text: str) -> str:
    """Return foreign text as code, fenced by more backticks than it has in a row."""
    plain = foreign_text.plain(text)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    room = " " if plain[:1] == "`" or plain[-1:] == "`" else ""
    return f"{fence}{room}{plain}{room}{fence}"


def _best(evidence: Evidence) -> Iterator[str]:
    study = evidence.study
    counts = wording.tally(ranking.counts(study), ranking.n_untrained(study)) or "none yet"
    best = next(iter(evidence.ranked), None)
    if best is not None and study.further_objectives:
        yield f"{count(len(study.trials), 'trial')} ({counts})"
        return
    if best is None:
        yield f"No trial is complete yet ({counts})."
        return
    folds = f" over {len(best.fold_scores)} folds" if best.spread is not None else ""
    score = wording.with_spread(best.value, best.spread)
    yield f"**{escaped(study.title)} {score}**{folds}, trial {best.number} ({counts})"
    if evidence.expected is not None:
        yield ""
        yield f"Expected: {escaped(evidence.expected.sentence)}"
    for text in undefined_metrics(best, study.curve(best), study.titles).values():
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


def _rivals(evidence: Evidence) -> Iterator[str]:
    """Yield the best trial and untuned models in every metric, if there are several."""
    heads, rows = rival_scores(evidence.study, evidence.baselines, evidence.ranked[0])
    if not rows:
        return
    cells = ([escaped(name), *(wording.score(v, vs[0]) for v in vs)] for name, vs in rows)
    yield from _table(["metric", *heads], ["---", *["---:"] * len(heads)], cells)
    yield ""


def _targets(evidence: Evidence) -> Iterator[str]:
    """Yield the scores of each of several targets, and those of untuned models."""
    for table in target_tables(evidence.study, evidence.ranked[0], evidence.baselines):
        cells = ([escaped(name), *scores] for name, *scores in table.rows)
        yield f"{table.heading}:"
        yield ""
        yield from _table(table.heads, ["---", *["---:"] * (len(table.heads) - 1)], cells)
        yield ""


def _top(evidence: Evidence, top: int) -> Iterator[str]:
    trials = evidence.ranked[:top]
    verdicts = [evidence.standings.verdict(trial) for trial in trials]
    rows = (
        [
            str(trial.number),
            marked_score(trial, trials[0], verdict),
            wording.duration(trial.seconds) if trial.seconds else "–",
            escaped(parameters_text(evidence.study, trial)),
        ]
        for trial, verdict in zip(trials, verdicts, strict=True)
    )
    headers = ["trial", escaped(evidence.study.title), "time", "parameters"]
    yield from _table(headers, ["---:", "---", "---:", "---"], rows)
    for note in mark_notes(verdicts, trials, evidence.standings.region):
        yield ""
        yield note


def _front(study: StudyRecord) -> Iterator[str]:
    pareto = front(study)
    n_complete = count(pareto.n_complete, "complete trial")
    yield f"Pareto front, {len(pareto.trials)} of {n_complete}:"
    yield ""
    names = [objective.metric for objective in study.objectives]
    rows = (
        [
            str(place),
            str(trial.number),
            *map(wording.metric_text, names, trial.values),
            escaped(parameters_text(study, trial)),
        ]
        for place, trial in enumerate(pareto.trials, 1)
    )
    headers = ["place", "trial", *map(escaped, map(study.titled, names)), "parameters"]
    yield from _table(headers, ["---:", "---:", *("---" for _ in names), "---"], rows)


def _table(
    headers: Sequence[str], alignment: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    for cells in (headers, alignment, *rows):
        yield f"| {' | '.join(cells)} |"


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
