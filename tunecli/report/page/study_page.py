"""The page of one study: its plots and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.database.urls import without_password
from tunecli.report.analysis import pareto, ranking
from tunecli.report.analysis.importance import Importance, importance
from tunecli.report.analysis.importance_intervals import ImportanceInterval, importance_intervals
from tunecli.report.analysis.rivals import rival_scores
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.space.losing_options import isolations
from tunecli.report.page.finding_cards import finding_plots
from tunecli.report.page.html_document import html_page
from tunecli.report.page.plots.interval_bars import (
    beside_baselines,
    importances,
    isolation_plots,
    leaders,
    on_test,
)
from tunecli.report.page.plots.learning import learning, limits_of
from tunecli.report.page.plots.operating_points import precision_and_recall
from tunecli.report.page.plots.parameters import panels
from tunecli.report.page.plots.plot import Plot
from tunecli.report.page.plots.plot import text as plotly_text
from tunecli.report.page.plots.scores import MARKS, ScoreAxis, history, outcome_of, outcomes
from tunecli.report.page.plots.tradeoff import tradeoffs
from tunecli.report.page.trials_table import front_rows, table_columns, table_trials
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.adjustments import adjustment_lines
from tunecli.report.phrases.width_text import trial_mup_text
from tunecli.report.screen.terminal import edit_lines, last_active
from tunecli.report.studies.best import config_yaml
from tunecli.report.studies.target_scores import TargetTable, target_tables

_CURVES = 6


def study_page(evidence: Evidence, findings: Sequence[Finding] = ()) -> str:
    """Return one HTML file with everything about a study, also while it runs.

    Args:
        findings: the findings in the order in which they are shown.
    """
    study = evidence.study
    shares = importance(study)
    plots = study_plots(evidence, shares, importance_intervals(study))
    cards = [(finding, finding_plots(finding, plots)) for finding in findings]
    return html_page(
        "study.html",
        plots,
        {trial.number: said_of(study, trial) for trial in study.trials},
        study=study,
        parameter_keys=_of("parameter", plots),
        choice_keys=_of("isolation", plots),
        curve_keys=_of("learning", plots),
        tradeoff_keys=_of("tradeoff", plots),
        front=front_rows(study),
        articles=cards,
        comparison_keys=[key for key in ("baselines", "test", "operating") if key in plots],
        importance=shares,
        marks={word: MARKS[word].symbol for word in outcomes(study.trials)},
        columns=table_columns(study),
        trials=table_trials(evidence),
        **_texts(evidence),
    )


def _texts(evidence: Evidence) -> dict[str, Any]:
    """Return the page's header, the best trial in words, and where the results come from."""
    study = evidence.study
    best = ranking.best_trial(study)
    return {
        "goal": pareto.goal(study),
        "figures": _tiles(evidence, best),
        "best": best,
        "rivals": _rivals(evidence, best) if best is not None else ((), ()),
        "target_tables": _target_tables(evidence, best) if best is not None else [],
        "best_facts": _best_facts(evidence, best) if best is not None else [],
        "data": wording.data_lines(study.summary, titles=study.titles)
        if study.summary is not None
        else [],
        "origin": _origin(study),
        "again": config_yaml(study, best) if best is not None else "",
    }


def study_plots(
    evidence: Evidence, shares: Importance, intervals: Mapping[str, ImportanceInterval]
) -> dict[str, Plot]:
    """Return all plots by key, without those that have nothing to show."""
    study = evidence.study
    scores = ScoreAxis.of(study, evidence.curves)
    plots: dict[str, Plot] = {}
    if study.trials:
        plots["history"] = history(study, scores)
    if evidence.ranked:
        plots |= tradeoffs(study, scores)
        plots["leaders"] = leaders(evidence)
        if evidence.baselines:
            plots["baselines"] = beside_baselines(evidence)
        if evidence.test is not None:
            plots["test"] = on_test(evidence, evidence.test)
    if study.adjustment is not None and study.adjustment.curve:
        plots["operating"] = precision_and_recall(study.adjustment)
    if shares.values:
        plots["importance"] = importances(shares, intervals)
    by_name = panels(evidence, scores)
    for name in sorted(by_name, key=lambda name: -shares.values.get(name, 0.0)):
        plots[f"parameter:{name}"] = by_name[name]
    choices = isolation_plots(study, isolations(evidence))
    plots |= {f"isolation:{name}": plot for name, plot in choices.items()}
    return plots | _curves(evidence)


def _of(family: str, plots: Mapping[str, Plot]) -> list[str]:
    return [key for key in plots if key.startswith(f"{family}:")]


def _curves(evidence: Evidence) -> dict[str, Plot]:
    """Return learning curves of the best trials, or of running ones while none is complete."""
    study = evidence.study
    top: Sequence[TrialRecord] = evidence.ranked[:_CURVES]
    top = top or [trial for trial in study.trials if trial.state == "running"][:_CURVES]
    known = [(trial, study.curve(trial)) for trial in top]  # including folds
    drawn = [(trial, curve) for trial, curve in known if curve.score]
    limits = limits_of([curve for _, curve in drawn])
    return {
        f"learning:{trial.number}": learning(study, trial, curve, limits) for trial, curve in drawn
    }


def said_of(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the text on a trial under the pointer, as Plotly expects it."""
    lines = map(plotly_text, _said_of(study, trial))
    return "<br>".join([f"<b>trial {trial.number}</b> {outcome_of(trial)}", *lines])


def _said_of(study: StudyRecord, trial: TrialRecord) -> Iterator[str]:
    if trial.value is not None:
        metric = foreign_text.shortened(foreign_text.plain(study.title), 30)
        yield f"{metric} {wording.with_spread(trial.value, trial.spread)}"
    for objective, value in zip(study.further_objectives, trial.values[1:], strict=False):
        name = foreign_text.shortened(foreign_text.plain(study.titled(objective.metric)), 30)
        yield f"{name} {wording.metric_text(objective.metric, value)}"
    for assignment in wording.assignments(trial.params, study.gates, 3):
        yield foreign_text.shortened(assignment, 60)
    if trial.reason:
        yield foreign_text.shortened(foreign_text.plain(trial.reason), 80)


def _best_tile(study: StudyRecord, best: TrialRecord | None) -> tuple[str, str, str]:
    label = f"best {foreign_text.shortened(foreign_text.plain(study.title), 24)}"
    if best is None:
        return label, "–", "no trial is complete yet"
    spread = f"± {wording.score(best.spread, best.value)}" if best.spread is not None else ""
    folds = f"over {len(best.fold_scores)} folds" if spread else ""
    return label, wording.score(best.value), " ".join(filter(None, [spread, folds]))


def _tiles(evidence: Evidence, best: TrialRecord | None) -> Iterator[tuple[str, str, str]]:
    """Yield the study in a few large figures: label, figure, explanation."""
    study = evidence.study
    yield _best_tile(study, best)
    counts = wording.tally(ranking.counts(study), ranking.n_untrained(study)) or "none yet"
    yield "trials", f"{len(study.trials):,}", counts
    if any(evidence.standings.counts):
        n_equal, n_open, n_worse = evidence.standings.counts
        within = f"within {wording.score(evidence.standings.region)}"
        below = ", ".join([within, *wording.open_counts(n_open, n_worse)])
        yield "practically equal to the best", f"{n_equal:,}", below
    seconds = sum(trial.seconds or 0.0 for trial in study.trials)
    if seconds:
        yield "training", wording.duration(seconds), last_active(study)


def _best_facts(evidence: Evidence, best: TrialRecord) -> Iterator[tuple[str, str]]:
    study = evidence.study
    if evidence.expected is not None:
        yield "expected", evidence.expected.sentence
    yield from wording.named_values(best.params, study.gates)
    if len(best.fold_scores) > 1:
        scores = (wording.score(score, best.value) for score in best.fold_scores)
        yield "score of each fold", "  ".join(scores)
    for name, value in best.metrics.items():
        yield foreign_text.plain(study.titled(name)), wording.metric_text(name, value)
    for text in undefined_metrics(best, study.curve(best), study.titles).values():
        yield "note", foreign_text.plain(text)
    if text := trial_mup_text(best.config):
        yield "mup", text
    if best.seconds:
        yield "training", wording.duration(best.seconds)
    if best.n_weights:
        yield "weights", f"{best.n_weights:,}"
    if best.peak_memory:
        yield "peak memory", wording.memory_text(best.peak_memory)
    if study.adjustment is not None and study.adjustment.trial == best.number:
        yield from adjustment_lines(study.adjustment, study.titles)


def _rivals(evidence: Evidence, best: TrialRecord) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the cells of a table of the best trial and untuned models."""
    heads, rows = rival_scores(evidence.study, evidence.baselines, best)
    return heads, [
        [foreign_text.plain(name), *(wording.score(v, values[0]) for v in values)]
        for name, values in rows
    ]


def _target_tables(evidence: Evidence, best: TrialRecord) -> list[TargetTable]:
    """Return the tables of the scores of each of several targets."""
    return [
        replace(table, rows=[[foreign_text.plain(name), *rest] for name, *rest in table.rows])
        for table in target_tables(evidence.study, best, evidence.baselines)
    ]


def _origin(study: StudyRecord) -> Iterator[tuple[str, str]]:
    """Yield where the results come from: enough to reproduce them."""
    if study.file:
        yield "study file", foreign_text.plain(study.file)
    yield "database", foreign_text.plain(without_password(study.url))
    if study.summary is not None and study.summary.fingerprint:
        yield "data fingerprint", foreign_text.plain(study.summary.fingerprint)
    for name, value in study.environment.items():
        yield foreign_text.plain(str(name)), foreign_text.plain(str(value))
    yield from (("override", foreign_text.plain(text)) for text in study.overrides)
    yield from edit_lines(study)
