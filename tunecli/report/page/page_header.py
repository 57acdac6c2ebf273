"""The study in a few figures: the top and the end of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.database.urls import without_password
from tunecli.report.analysis import pareto, ranking
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.phrases import wording


@dataclass(frozen=True)
class Tile:
    """One large figure. Attributes: `below`: its explanation."""

    label: str
    figure: str
    below: str = ""


@dataclass(frozen=True)
class Facts:
    """Figures of the page. Attributes: `data`, `origin`, `best_facts`: label and text."""

    goal: str
    tiles: Sequence[Tile]
    data: Sequence[tuple[str, str]]
    origin: Sequence[tuple[str, str]]
    best: TrialRecord | None
    best_facts: Sequence[tuple[str, str]]


def header_facts(evidence: Evidence) -> Facts:
    """Return the figures of a study."""
    study = evidence.study
    best = ranking.best_trial(study)
    return Facts(
        pareto.goal(study),
        [_best_tile(study, best), *_tiles(evidence)],
        wording.data_lines(study.summary) if study.summary is not None else [],
        _origin(study),
        best,
        _best_facts(study, best) if best is not None else [],
    )


def _best_tile(study: StudyRecord, best: TrialRecord | None) -> Tile:
    label = f"best {wording.shortened(wording.plain(study.metric), 24)}"
    if best is None:
        return Tile(label, "–", "no trial is complete yet")
    spread = f"± {wording.score(best.spread, best.value)}" if best.spread is not None else ""
    folds = f"over {len(best.fold_scores)} folds" if spread else ""
    return Tile(label, wording.score(best.value), " ".join(filter(None, [spread, folds])))


def _tiles(evidence: Evidence) -> list[Tile]:
    study = evidence.study
    counts = ranking.counts(study)
    tiles = [Tile("trials", f"{len(study.trials):,}", wording.tally(counts) or "none yet")]
    if evidence.tied:
        below = "other complete trials, by a t-test over folds"
        tiles.append(Tile("tied with the best", f"{len(evidence.tied) - 1:,}", below))
    seconds = sum(trial.seconds or 0.0 for trial in study.trials)
    moments = [moment for trial in study.trials for moment in (trial.start, trial.end) if moment]
    if seconds:
        below = f"last active {max(moments):%Y-%m-%d %H:%M} UTC" if moments else ""
        tiles.append(Tile("training", wording.duration(seconds), below))
    return tiles


def _best_facts(study: StudyRecord, best: TrialRecord) -> list[tuple[str, str]]:
    facts = [*wording.named_values(best.params, study.gates)]
    if len(best.fold_scores) > 1:
        scores = "  ".join(wording.score(score, best.value) for score in best.fold_scores)
        facts.append(("score of each fold", scores))
    facts += [
        (wording.plain(name), wording.metric_text(name, value))
        for name, value in best.metrics.items()
    ]
    facts += [
        ("note", wording.plain(text))
        for text in undefined_metrics(best, study.curve(best)).values()
    ]
    if best.seconds:
        facts.append(("training", wording.duration(best.seconds)))
    if best.n_weights:
        facts.append(("weights", f"{best.n_weights:,}"))
    if best.peak_memory:
        facts.append(("peak memory", wording.memory_text(best.peak_memory)))
    return facts


def _origin(study: StudyRecord) -> list[tuple[str, str]]:
    """Return where the results come from: enough to reproduce them."""
    origin = [("study file", wording.plain(study.file))] if study.file else []
    origin.append(("database", wording.plain(without_password(study.url))))
    if study.summary is not None and study.summary.fingerprint:
        origin.append(("data fingerprint", wording.plain(study.summary.fingerprint)))
    origin += [
        (wording.plain(str(name)), wording.plain(str(value)))
        for name, value in study.environment.items()
    ]
    origin += [("override", wording.plain(text)) for text in study.overrides]
    for edit in study.edits:
        changes = "; ".join(map(str, edit.get("changes", ())))
        text = f"from trial {edit.get('first_trial')}: {changes}"
        origin.append(("edited", wording.plain(text)))
    return origin
