"""The page of one study: its plots and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.report.analysis.importance import Importance, importance
from tunecli.report.analysis.importance_intervals import ImportanceInterval, importance_intervals
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.evidence.isolation import isolations
from tunecli.report.page.finding_cards import articles
from tunecli.report.page.html_document import html_page
from tunecli.report.page.page_header import header_facts
from tunecli.report.page.plots.choices import isolation_plots
from tunecli.report.page.plots.history import history
from tunecli.report.page.plots.importances import importances
from tunecli.report.page.plots.learning import learning, limits_of
from tunecli.report.page.plots.marks import MARKS, outcomes
from tunecli.report.page.plots.parallel import parallel
from tunecli.report.page.plots.parameters import panels
from tunecli.report.page.plots.plot import Plot
from tunecli.report.page.plots.plot import text as plotly_text
from tunecli.report.page.plots.scores import ScoreAxis
from tunecli.report.page.plots.top_trials import beside_baselines, leaders, on_test
from tunecli.report.page.plots.tradeoff import tradeoffs
from tunecli.report.page.trials_table import front_rows, trials_table
from tunecli.report.phrases import wording
from tunecli.report.studies import best

_CURVES = 6


def study_page(evidence: Evidence, findings: Sequence[Finding] = ()) -> str:
    """Return one HTML file with everything about a study, also while it runs.

    Args:
        findings: the findings in the order in which they are shown.
    """
    study = evidence.study
    shares = importance(study)
    plots = _plots(evidence, shares, importance_intervals(study))
    winner = ranking.best_trial(study)
    cards = articles(findings, plots)
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
        facts=header_facts(evidence),
        articles=cards,
        comparison_keys=[
            key
            for key in ("baselines", "test")
            if key in plots and all(key not in article.plots for article in cards)
        ],
        importance=shares,
        marks={word: MARKS[word].symbol for word in outcomes(study.trials)},
        table=trials_table(evidence),
        again=best.config_yaml(study, winner) if winner is not None else "",
    )


def _plots(
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
        if evidence.ranges:
            plots["parallel"] = parallel(evidence, scores, shares.values)
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
    outcome = trial.outcome or trial.state
    lines = [f"<b>trial {trial.number}</b> {outcome}"]
    if trial.value is not None:
        metric = wording.shortened(wording.plain(study.metric), 30)
        lines.append(plotly_text(f"{metric} {wording.with_spread(trial.value, trial.spread)}"))
    for objective, value in zip(study.further_objectives, trial.values[1:], strict=False):
        name = wording.shortened(wording.plain(objective.metric), 30)
        lines.append(plotly_text(f"{name} {wording.metric_text(objective.metric, value)}"))
    for assignment in wording.assignments(trial.params, study.gates, 3):
        lines.append(plotly_text(wording.shortened(assignment, 60)))
    if trial.reason:
        lines.append(plotly_text(wording.shortened(wording.plain(trial.reason), 80)))
    return "<br>".join(lines)
