"""Make the model of a study from several of its trials, if they are better than the best one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import RefitError
from tunecli.model_folder.adjust.adjusting import (
    adjusted_to,
    gives_probabilities,
    refuse_threshold,
)
from tunecli.model_folder.adjust.held_out import stored_outputs
from tunecli.model_folder.ensemble.blend_scores import BlendScores
from tunecli.model_folder.ensemble.choice import Candidate, EnsembleChoice, chosen_ensemble
from tunecli.model_folder.ensemble.greedy import Picks
from tunecli.model_folder.find import MODEL
from tunecli.model_folder.fold_models import as_searched, has_fold_models
from tunecli.model_folder.format.folder import refuse_foreign_model
from tunecli.model_folder.format.model import Member, Model
from tunecli.model_folder.refit_study import (
    MadeModel,
    WrittenModel,
    kept_models,
    made_of_trial,
    refit_trial,
    trial_of,
    written_model,
)
from tunecli.model_folder.refitting import (
    Refitted,
    RefitTrial,
    as_refitted,
    joint_model,
    refit_seeds,
    refuse_unusable_code,
    training_in_words,
)
from tunecli.model_folder.select_trial import CostLimit, measured_values, within
from tunecli.report.analysis.ranking import ranked
from tunecli.report.analysis.standing import Yardstick
from tunecli.report.analysis.standings import yardstick_of
from tunecli.report.studies.best import config_of
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.settings.metric_names import COSTS
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.text.counts import count
from tunecli.training.fold_data import feature_form
from tunecli.training.outcome.adjustment import Adjustment, ThresholdWish
from tunecli.training.step.losses import Predictions

_ADDITIVE = COSTS - {"zeros"}
"""Costs that add up over networks; a share of zeros does not."""

_INSTEAD = "Leave out --ensemble, or exclude this trial with a limit in --best-within."
"""What to do if the training of a trial fails."""


@dataclass(frozen=True)
class EnsembleWish:
    """The ensemble that is wanted.

    Attributes:
        n_picks: largest number of picks; a trial that is picked several times weighs more.
        limits: upper limits of costs, which add up over the networks.
    """

    n_picks: int
    limits: Sequence[CostLimit] = ()


@dataclass(frozen=True)
class _Picked:
    """A trial that may be picked, with its out-of-fold predictions by fold."""

    record: TrialRecord
    config: TrialConfig
    outputs: Sequence[Predictions]

    @property
    def model(self) -> str:
        """Name of its model, or of the user's own training."""
        return (self.config.train or self.config.model).name


def refit_ensemble(
    study: StudyRecord,
    wish: EnsembleWish,
    study_folder: StudyFolder,
    workspace: Workspace,
    *,
    path: Path | None = None,
    trains: bool = True,
    threshold: ThresholdWish = "auto",
    announce: Callable[[str], None] = lambda doing: None,
) -> WrittenModel:
    """Choose an ensemble, or the best trial, and write the model; see `refit_study`.

    Args:
        trains: whether to train each trial on all rows outside the test set; otherwise the model
            is the mean of the fold models that the search kept of each.

    Raises:
        RefitError: no ensemble can be made of this study, or no trial is within the limits.
    """
    refuse_foreign_model(path or study_folder.folder / MODEL)  # before the training
    _refuse_other_objectives(study)
    for limit in wish.limits:
        _refuse_other_limit(limit)
    best = within(study, wish.limits, None)
    of_best, store = trial_of(study, best, workspace)
    refuse_threshold(threshold, store)
    _refuse_other_tasks(store, of_best.config)
    candidates = _candidates(study, (of_best, store), None if trains else study_folder)
    limits = _Limits(study, wish.limits, candidates, 1 if trains else len(store.split.folds))
    limits.refuse_if_none()
    announce(f"choosing among {count(len(candidates), 'trial')}")
    chosen = _chosen(candidates, wish.n_picks, store, limits, yardstick_of(study, best))
    trials = [replace(refit_trial(study, one.record), instead=_INSTEAD) for one in chosen.trials]
    folders = [kept_models(study_folder, one.number) for one in trials]
    if chosen.choice.is_used:
        averaging = f"averaging the fold models of {count(len(trials), 'trial')}"
        announce(training_in_words(trials, store) if trains else averaging)
        model = _mean(trials, chosen.weights, store, None if trains else folders)
        adjustment = _adjustment(chosen, store, threshold, is_of_single=model.n_parts > 1)
        made = MadeModel(trials[0], store, model, [model], adjustment)
    else:
        made = made_of_trial(
            study,
            chosen.trials[0].record,
            (trials[0], store),
            folders[0],
            trains=trains,
            threshold=threshold,
            announce=lambda doing: announce(f"trial {trials[0].number} alone, {doing}"),
        )
    return written_model(study, replace(made, choice=chosen.choice), study_folder, path)


@dataclass(frozen=True)
class _Chosen:
    """The trials of an ensemble, or the best one, those that count most first.

    Attributes:
        outputs: their mean out-of-fold predictions, by fold.
    """

    trials: Sequence[_Picked]
    weights: Sequence[int]
    outputs: Sequence[Predictions]
    choice: EnsembleChoice


def _chosen(
    candidates: Sequence[_Picked],
    n_picks: int,
    store: FoldStore,
    limits: _Limits,
    yardstick: Yardstick,
) -> _Chosen:
    objective = candidates[0].config.objective
    scores = BlendScores(store, objective, [one.outputs for one in candidates])
    names = [Candidate(one.record.number, one.model) for one in candidates]
    picks, choice = chosen_ensemble(names, n_picks, scores, yardstick, limits.allow)
    places, weights = zip(*Counter(picks).most_common(), strict=True)
    return _Chosen([candidates[one] for one in places], weights, scores.blended(picks), choice)


# --- what can be picked


def _refuse_other_objectives(study: StudyRecord) -> None:
    """Refuse a study whose trials are not ranked by one score of their predictions.

    Raises:
        RefitError: it is one.
    """
    if study.further_objectives:
        raise RefitError(
            f"study {study.name} has several objectives, but an ensemble is chosen by one. Choose "
            "a trial of the Pareto front with --pareto."
        )


def _refuse_other_tasks(store: FoldStore, config: TrialConfig) -> None:
    """Refuse language models, and user code of which no model can be made.

    Raises:
        RefitError: the study has language models.
        UserCodeError: there is no `predict` next to the training.
    """
    if store.dataset.task == "language_modeling":
        raise RefitError(
            "language models cannot form an ensemble: a model folder scores texts with one "
            "network. Leave out --ensemble."
        )
    refuse_unusable_code(config)


def _candidates(
    study: StudyRecord, of_best: tuple[RefitTrial, FoldStore], folder: StudyFolder | None
) -> list[_Picked]:
    """Return the trials whose predictions the search kept, best first.

    Args:
        of_best: the best trial, and the data of its search.
        folder: the study's folder if only trials with fold models in it count; else None.

    Raises:
        RefitError: there are fewer than two.
    """
    best, store = of_best
    found = [*_picked(study, best.config, store, folder)]
    if len(found) > 1:
        return found
    kept = "search.keep_predictions" if folder is None else "search.keep_models"
    what = "out-of-fold predictions" if folder is None else "predictions and fold models"
    n_found = "no trial" if not found else "one trial only"
    remedy = f"Run a search of more trials, with {kept} above 1."
    if best.config.train is not None and not found:
        remedy = (
            f"Let {best.config.train.name} report its predictions for x_valid, with "
            "`report({…}, step, predictions=p)` or `yield {…}, p`, and run a new search with "
            f"{kept} above 1."
        )
    raise RefitError(
        f"an ensemble needs {what} of at least two trials, but study {study.name} has those of "
        f"{n_found}. {remedy}"
    )


def _picked(
    study: StudyRecord, like: TrialConfig, store: FoldStore, folder: StudyFolder | None
) -> Iterator[_Picked]:
    for record in ranked(study):
        if folder is not None and not has_fold_models(kept_models(folder, record.number)):
            continue
        outputs = stored_outputs(store, study.predictions(record))
        if outputs is None:
            continue
        config = config_of(study, record)
        if _takes_same_rows(config, like, store):
            yield _Picked(record, config, outputs)


def _takes_same_rows(config: TrialConfig, like: TrialConfig, store: FoldStore) -> bool:
    """Return whether two configurations have the same data, and read its rows in the same form."""
    folder = store.workspace.folder
    kept = {feature_form(one, folder).keeps_integers(store.dataset.x) for one in (config, like)}
    is_own = {one.train is None for one in (config, like)}
    return config.data.arguments == like.data.arguments and len(kept) == len(is_own) == 1


class _Limits:
    """Upper limits of costs, which add up over the networks of an ensemble.

    Args:
        n_networks: number of networks per trial.
    """

    def __init__(
        self,
        study: StudyRecord,
        limits: Sequence[CostLimit],
        candidates: Sequence[_Picked],
        n_networks: int,
    ) -> None:
        self._limits = limits
        self._n_networks = n_networks
        self._costs: list[Mapping[str, float]] = [
            measured_values(study, one.record) for one in candidates
        ]

    def allow(self, picks: Picks) -> bool:
        """Return whether the costs of all picked trials, each counted once, are within limits."""
        return all(limit.holds(self._sum(limit, picks)) for limit in self._limits)

    def _sum(self, limit: CostLimit, picks: Picks) -> float:
        return self._n_networks * sum(self._costs[one][limit.metric] for one in {*picks})

    def refuse_if_none(self) -> None:
        """Refuse limits that no trial meets.

        Raises:
            RefitError: there is none.
        """
        if not any(self.allow((one,)) for one in range(len(self._costs))):
            raise RefitError(
                f"every trial alone exceeds the limits ({count(self._n_networks, 'network')} per "
                "trial). Relax a condition of --best-within."
            )


def _refuse_other_limit(limit: CostLimit) -> None:
    """Refuse a condition that is no upper limit of a cost.

    Raises:
        RefitError: it is one.
    """
    if limit.metric not in _ADDITIVE or not limit.sign.startswith("<"):
        raise RefitError(
            "--best-within with --ensemble takes only upper limits of costs that add up over the "
            f"ensemble's networks ({', '.join(sorted(_ADDITIVE))}), but got {limit.metric} "
            f"{limit.sign}."
        )


# --- the model


def _mean(
    trials: Sequence[RefitTrial],
    weights: Sequence[int],
    store: FoldStore,
    folders: Sequence[Path] | None,
) -> Refitted:
    """Return the weighted mean of the trials' models.

    Args:
        folders: the folders with the fold models to average; None to train.

    Raises:
        RefitError: a training diverges or fails, or fold models are damaged.
    """
    if folders is None:
        refits = [next(refit_seeds(one, store)) for one in trials]
    else:
        pairs = zip(trials, folders, strict=True)
        refits = [as_searched(one, store, folder) for one, folder in pairs]
    model = joint_model([one.model for one in refits], weights)
    parts = () if folders is None else _by_fold(model, refits)
    n_rows = min(one.n_rows for one in refits)
    made = as_refitted(model, refits[0].seed, store, n_rows, parts)
    return replace(made, validation_rows=max(one.validation_rows for one in refits))


def _by_fold(model: Model, refits: Sequence[Refitted]) -> list[list[Member]]:
    """Return the members of each fold, which together are what the search scored."""
    n_folds = len(refits[0].model.members)
    if n_folds == 1:
        return []
    return [list(model.members[fold::n_folds]) for fold in range(n_folds)]


def _adjustment(
    chosen: _Chosen, store: FoldStore, threshold: ThresholdWish, *, is_of_single: bool
) -> Adjustment | None:
    """Return what the ensemble's out-of-fold predictions suggest; None for regression."""
    if not store.dataset.are_probabilities:
        return None
    configs = [one.config for one in chosen.trials]
    like = next((one for one in configs if not gives_probabilities(one)), configs[0])
    number = chosen.trials[0].record.number
    found = adjusted_to(number, like, store, chosen.outputs, threshold)
    return replace(found, n_trials=len(configs), is_of_single=is_of_single)
