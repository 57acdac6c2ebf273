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
)
from tunecli.model_folder.select_trial import CostLimit, measured_values, within
from tunecli.report.analysis.ranking import ranked
from tunecli.report.analysis.standings import yardstick_of
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.settings.metric_names import COSTS
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.text.counts import count
from tunecli.training.fold_data import feature_form
from tunecli.training.outcome.adjustment import Adjustment, ThresholdWish
from tunecli.training.step.losses import Predictions


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
    trial: RefitTrial
    outputs: Sequence[Predictions]


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
    scores = BlendScores(store, of_best.config.objective, [one.outputs for one in candidates])
    names = [Candidate(one.record.number, _model_name(one.trial.config)) for one in candidates]
    yardstick = yardstick_of(study, best)
    picks, choice = chosen_ensemble(names, wish.n_picks, scores, yardstick, limits.allow)
    chosen = [(candidates[one], weight) for one, weight in Counter(picks).most_common()]
    if choice.is_used:
        announce(_announced(choice, trains=trains))
        model = _made(chosen, store, study_folder, trains=trains)
        adjustment = _adjustment(chosen, store, scores.blended(picks), threshold)
        if adjustment is not None:
            adjustment = replace(adjustment, is_of_single=model.n_parts > 1)
        made = MadeModel(chosen[0][0].trial, store, model, [model], adjustment)
    else:
        [(one, _)] = chosen
        made = made_of_trial(
            study,
            one.record,
            (one.trial, store),
            kept_models(study_folder, one.record.number),
            trains=trains,
            threshold=threshold,
            announce=announce,
        )
    return written_model(study, replace(made, choice=choice), study_folder, path)


def _model_name(config: TrialConfig) -> str:
    return (config.train or config.model).name


def _announced(choice: EnsembleChoice, *, trains: bool) -> str:
    trials = count(len(choice.trials), "trial")
    if trains:
        return f"training {trials} on the rows outside the test set"
    return f"averaging the fold models of {trials}"


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
    if study.metric in COSTS:
        raise RefitError(
            f"study {study.name} optimizes {study.metric}, which no ensemble improves. Leave out "
            "--ensemble."
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
    raise RefitError(
        f"an ensemble needs {what} of at least two trials, but study {study.name} has those of "
        f"{n_found}. Run a search of more trials, with {kept} above 1."
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
        trial = refit_trial(study, record)
        if _takes_same_rows(trial.config, like, store):
            yield _Picked(record, trial, outputs)


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
                f"no trial alone is within the limits with {count(self._n_networks, 'network')}. "
                "Relax a condition of --best-within."
            )


def _refuse_other_limit(limit: CostLimit) -> None:
    """Refuse a condition that is no upper limit of a cost.

    Raises:
        RefitError: it is one.
    """
    if limit.metric not in COSTS or not limit.sign.startswith("<"):
        raise RefitError(
            f"--best-within with --ensemble takes upper limits of costs, which add up over its "
            f"networks ({', '.join(sorted(COSTS))}), got {limit.metric} {limit.sign}."
        )


# --- the model


def _made(
    chosen: Sequence[tuple[_Picked, int]],
    store: FoldStore,
    study_folder: StudyFolder,
    *,
    trains: bool,
) -> Refitted:
    """Return the weighted mean of the trials' models.

    Raises:
        RefitError: a training diverges or fails, or fold models are damaged.
    """
    if trains:
        refits = [next(refit_seeds(one.trial, store)) for one, _ in chosen]
    else:
        folders = [kept_models(study_folder, one.record.number) for one, _ in chosen]
        pairs = zip(chosen, folders, strict=True)
        refits = [as_searched(one.trial, store, folder) for (one, _), folder in pairs]
    first = refits[0]
    model = joint_model([one.model for one in refits], [weight for _, weight in chosen])
    n_rows = min(one.n_rows for one in refits)
    made = as_refitted(model, first.seed, store, n_rows, () if trains else _by_fold(model, refits))
    return replace(made, validation_rows=max(one.validation_rows for one in refits))


def _by_fold(model: Model, refits: Sequence[Refitted]) -> list[list[Member]]:
    """Return the members of each fold, which together are what the search scored."""
    n_folds = len(refits[0].model.members)
    if n_folds == 1:
        return []
    return [list(model.members[fold::n_folds]) for fold in range(n_folds)]


def _adjustment(
    chosen: Sequence[tuple[_Picked, int]],
    store: FoldStore,
    outputs: Sequence[Predictions],
    threshold: ThresholdWish,
) -> Adjustment | None:
    """Return what the ensemble's out-of-fold predictions suggest; None for regression."""
    if not store.dataset.classes:
        return None
    configs = [one.trial.config for one, _ in chosen]
    like = next((one for one in configs if not gives_probabilities(one)), configs[0])
    found = adjusted_to(chosen[0][0].record.number, like, store, outputs, threshold)
    return replace(found, n_trials=len(chosen))
