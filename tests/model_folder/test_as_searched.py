"""Models that a search kept, as one model that was never trained again."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from model_cases import case

from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import RefitError
from tunecli.model_folder.as_searched import as_searched
from tunecli.model_folder.format.folder import write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.models import embeds_categories
from tunecli.training.saved_models import keep_models
from tunecli.training.step.losses import standardizes_target
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import conclude


@pytest.mark.parametrize("name", ["table", "embedded", "quantile", "digits", "compressed", "own"])
def test_each_member_gives_what_its_fold_was_scored_by(name: str, tmp_path: Path) -> None:
    made = case(name)
    permit(made.workspace.code)
    config, store = made.trial.config, made.store
    folds = store.folds(
        config.data.scale, standardizes_target(config.loss), embeds_categories(config.model)
    )
    training = CrossValidation(config, folds, choose_device("cpu"))
    for _ in training:
        pass
    end = conclude(training)
    keep_models(tmp_path / "3", config, end.models())
    found = as_searched(made.trial, store, tmp_path / "3")
    assert end.result.predictions is not None
    scored = np.load(io.BytesIO(end.result.predictions))
    for number, member in enumerate(found.model.members):
        rows = scored[f"rows_{number}"]
        outputs = found.model._of_member(member, store.dataset.x[rows])
        expected = scored[f"outputs_{number}"].reshape(outputs.shape)
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)

    write_model(tmp_path / "model", found.model, {})
    again = load_with(tmp_path / "model", made.workspace)
    rows = store.split.test_rows
    assert found.predictions is not None
    np.testing.assert_array_equal(again.of_rows(store.dataset.x[rows]), found.predictions)


def test_a_trial_without_models_says_what_to_do(tmp_path: Path) -> None:
    made = case("arrays")
    with pytest.raises(RefitError, match=r"3 has no models to average: .*search\.keep_models"):
        as_searched(made.trial, made.store, tmp_path)
    keep_models(tmp_path, made.trial.config, [{}, {}])
    with pytest.raises(RefitError, match="belong to other folds"):
        as_searched(made.trial, made.store, tmp_path)
