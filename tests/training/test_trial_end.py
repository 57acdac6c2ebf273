"""Both ends of a trial: costs and limits."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
import torch
from training_cases import CPU, classification, component, trial

from tunecli.study_file.settings.settings import (
    CompressionSettings,
    Constraint,
    Objective,
    PruneSettings,
    ShareSettings,
    StructuredSettings,
    TrialConfig,
)
from tunecli.training.compression.packing import Packed, plain_file
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import new_model
from tunecli.training.saved_models import keep_models, load_network, read_models
from tunecli.training.trial_end import conclude, infeasible_before_training

FOLDS = [classification(number) for number in range(2)]
N_WEIGHTS = 4 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3


def limited(**limits: tuple[float | None, float | None]) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(metric=component(name), min=low, max=high)
        for name, (low, high) in limits.items()
    )


def config(**changes: Any) -> TrialConfig:
    return trial().model_copy(update=changes)


def ended(config: TrialConfig) -> CrossValidation:
    training = CrossValidation(config, FOLDS, CPU)
    for _ in training:
        pass
    return training


def test_what_a_compression_leaves_out_is_the_reason_of_the_trial() -> None:
    """As many values as these few weights have would be as long as the weights."""
    share = CompressionSettings(share=ShareSettings(clusters=256))
    assert conclude(ended(config(compression=share))).result.reason == (
        "share was skipped: it would not make the file smaller"
    )
    int8 = CompressionSettings(quantize="int8")
    assert conclude(ended(config(compression=int8))).result.reason == ""


def test_costs_are_measured_where_the_study_names_them() -> None:
    size = Objective(direction="minimize", metric=component("size"))
    shown = (component("n_weights"), component("macs"), component("zeros"))
    training = ended(config(further_objectives=(size,), metrics=shown))
    found = conclude(training).result.metrics
    sizes = [len(plain_file(fold.best_model().state_dict())) for fold in training.folds]  # type: ignore[union-attr]
    assert found == {
        "size": fmean(sizes),
        "n_weights": N_WEIGHTS,
        "macs": 4 * 8 + 8 * 8 + 8 * 3,
        "zeros": 0.0,
    }
    assert conclude(ended(config())).result.metrics == {}


def test_a_latency_is_a_time() -> None:
    found = conclude(ended(config(metrics=(component("latency"),)))).result.metrics["latency"]
    assert 1e-6 < found < 1.0


def test_a_metric_that_is_limited_is_measured_and_judged() -> None:
    kept = conclude(ended(config(constraints=limited(f1=(0.0, None))))).result
    assert kept.outcome == "complete"
    assert 0 <= kept.metrics["f1"] <= 1
    broken = conclude(
        ended(config(constraints=limited(f1=(1.5, None), accuracy=(2, None))))
    ).result
    assert broken.outcome == "infeasible"
    assert broken.value is None
    assert broken.predictions is None
    assert broken.fold_scores == kept.fold_scores
    assert broken.metrics["f1"] == kept.metrics["f1"]
    assert broken.metrics["accuracy"] == kept.value
    f1, accuracy = f"{kept.metrics['f1']:.4g}", f"{kept.value:.4g}"
    assert broken.reason == f"f1 of {f1} is below 1.5 and accuracy of {accuracy} is below 2"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"n_weights": (None, 100)}, "n_weights of 139 is above 100"),
        ({"macs": (1000, None)}, "macs of 120 is below 1,000"),
        ({"size": (None, 500)}, r"size of \d+ B is above 500 B"),
        ({"n_weights": (None, 139)}, None),
        ({"latency": (None, 1e-9)}, None),
        ({"f1": (2, None)}, None),
    ],
)
def test_what_is_known_before_is_refused_before(
    limits: dict[str, tuple[float | None, float | None]], reason: str | None
) -> None:
    state = torch.random.get_rng_state()
    found = infeasible_before_training(config(constraints=limited(**limits)), FOLDS[0])
    assert torch.equal(torch.random.get_rng_state(), state)
    if reason is None:
        assert found is None
        return
    assert found is not None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)
    assert (found.outcome, found.value, found.n_weights) == ("infeasible", None, N_WEIGHTS)


@pytest.mark.parametrize(
    ("compression", "knows"),
    [
        (CompressionSettings(prune=PruneSettings(amount=0.5)), True),
        (CompressionSettings(structured=StructuredSettings(amount=0.5)), False),
        (CompressionSettings(fuse=True, quantize="int8"), False),
    ],
)
def test_what_compression_changes_is_not_known_before(
    compression: CompressionSettings, knows: bool
) -> None:
    tight = limited(n_weights=(None, 10), size=(None, 1e6))
    found = infeasible_before_training(
        config(constraints=tight, compression=compression), FOLDS[0]
    )
    assert (found is not None) == knows
    small = limited(size=(None, 1))
    assert (
        infeasible_before_training(config(constraints=small, compression=compression), FOLDS[0])
        is None
    )


@pytest.mark.parametrize("compression", [{}, {"quantize": "int8"}])
def test_kept_models_are_those_that_were_scored(
    compression: dict[str, Any], tmp_path: Any
) -> None:
    settings = config(compression=CompressionSettings.model_validate(compression))
    training = ended(settings)
    end = conclude(training)
    keep_models(tmp_path / "7", settings, end.models())
    kept = read_models(tmp_path / "7", settings)
    assert [isinstance(one, Packed) for one in kept] == [bool(compression)] * 2
    for one, fold in zip(kept, training.folds, strict=True):
        model = load_network(one, new_model(settings, fold.fold))
        assert fold.measured(model)[1] == end.result.fold_scores[fold.fold.number]  # type: ignore[union-attr]
