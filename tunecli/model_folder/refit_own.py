"""Make networks of what the user's own training saves in `fold.keep`."""

from __future__ import annotations

import shutil
import weakref
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from tunecli.data.final_fit import FinalFit
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.errors import RefitError
from tunecli.standard_streams import prints_on_stderr
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.state.trial_files import KEPT
from tunecli.training.step.precision import choose_device
from tunecli.training.user_loop.kept_files import file_hashes
from tunecli.training.user_loop.user_network import UserNetwork
from tunecli.training.user_loop.user_trial import UserTrial


def own_network(config: TrialConfig, trial: UserTrial, fit: FinalFit, n_steps: int) -> UserNetwork:
    """Train on all rows of the search, and return what the training saved as a network.

    If the study stops early, `fit` holds out a tenth of the rows and the training ends as in the
    search. Otherwise it saves its model after `n_steps` reports.

    Args:
        trial: the trial; its folders are not used.

    Raises:
        NoScoreError: the training fails.
        RefitError: it saves nothing.
        UserCodeError: the user's code raises.
    """
    assert config.train is not None
    name = config.train.name
    folder = Path(mkdtemp(prefix="tunecli-"))
    network = UserNetwork(name, folder / KEPT / str(fit.fold.number), fit.fold.n_classes)
    weakref.finalize(network, shutil.rmtree, folder, ignore_errors=True)
    fold = fit.fold if fit.has_validation else _without_validation(fit.fold)
    training = CrossValidation(
        config,
        [fold],
        choose_device(config.training.device),
        replace(trial, checkpoints=folder / "checkpoints", kept=folder, is_refit=True),
    )
    with closing(training), prints_on_stderr():
        _train(training, n_steps, has_scores=fit.has_validation)
    if not network.folder.is_dir() or not file_hashes(network.folder):
        raise RefitError(
            f"{name} saved nothing in fold.keep, so there is no model. Save the model there when "
            "report(…), or `yield` in a generator, returns True."
        )
    return network


def _train(training: CrossValidation, n_steps: int, *, has_scores: bool) -> None:
    [fold] = training.user_loops
    if not has_scores:
        fold.train_unmeasured(n_steps)
        return
    for _ in training:
        pass
    if training.outcome != "complete":
        raise NoScoreError(training.outcome or "failed", training.reason)
    fold.save_best()


def meaning_of_own(fold: FoldData) -> OutputMeaning:
    """Return what `predict` of the user's code returns: probabilities, or values."""
    return OutputMeaning("probability" if fold.n_classes else "value")


def _without_validation(fold: FoldData) -> FoldData:
    return replace(
        fold,
        x_valid=as_features(fold.x_valid).first(0),
        y_valid=fold.y_valid[:0],
        valid_rows=fold.valid_rows[:0],
        valid_weights=None,
    )
