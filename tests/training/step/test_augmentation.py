from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_cases import CPU, component, trial

from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import prepared
from tunecli.data.rows.dataset import Dataset, FoldData
from tunecli.data.rows.features import TensorFeatures, as_features
from tunecli.errors import TunecliError
from tunecli.study_file.catalogue.names import names
from tunecli.study_file.settings.settings import Component, DataSettings, TrialConfig
from tunecli.training.fold import FoldTraining
from tunecli.training.rehearsal import rehearse
from tunecli.training.step.augmentation import Augmentation, BatchChange, cut_and_mixed, mixed
from tunecli.training.step.batches import Batch

NEEDED = {
    "RandomAffine": {"degrees": 20.0},
    "RandomRotation": {"degrees": 20.0},
    "RandomShear": {"shear": [0.0, 5.0]},
    "RandomRotation90": {"times": [0, 3]},
    "RandomGaussianBlur": {"kernel_size": [3, 3], "sigma": [0.1, 1.0]},
    "RandomRain": {"drop_height": [1, 4], "drop_width": [-2, 2]},
    "RandomMotionBlur": {"kernel_size": 3, "angle": 10.0, "direction": 0.5},
}
"""Arguments without a default, or whose default wants larger pictures."""
CROP, FLIP = component("RandomCrop", padding=2), component("RandomHorizontalFlip")
AFFINE = component("RandomAffine", degrees=20.0)


def fold(n_train: int = 40, n_valid: int = 12, channels: int = 3) -> FoldData:
    """Small pictures as bytes, two classes that are bright on different sides."""
    random = np.random.default_rng(0)
    x = random.integers(0, 120, (n_train + n_valid, channels, 12, 12)).astype(np.uint8)
    y = np.arange(len(x)) % 2
    x[y == 0, :, :4] += 100
    dataset = Dataset(
        "set", "classification", torch.from_numpy(x), torch.from_numpy(y), classes=("a", "b")
    )
    train, valid = torch.arange(n_train), torch.arange(n_train, n_train + n_valid)
    found = prepared(
        dataset, train, valid, DataSettings(source="set/"), FeatureForm(component("standard"))
    )
    return FoldData(
        number=0,
        task="classification",
        x_train=found.x_train,
        y_train=dataset.y[train],
        x_valid=found.x_valid,
        y_valid=dataset.y[valid],
        valid_rows=valid,
        n_classes=2,
    )


FOLD = fold()


def config(*augment: Component, **training: object) -> TrialConfig:
    found = trial(model=component("CNN", channels=4), batch_size=8, **training)
    return found.model_copy(update={"data": found.data.model_copy(update={"augment": augment})})


def rows(data: FoldData = FOLD) -> Tensor:
    return next(iter(as_features(data.x_train).batches(None, [len(data.y_train)])))


@pytest.mark.slow
@pytest.mark.parametrize("name", names("augmentation"))
def test_every_augmentation_keeps_the_size_and_follows_the_random_state(name: str) -> None:
    one = Component(name=name, arguments=NEEDED.get(name, {}))
    x = rows()
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(Augmentation([one], as_features(FOLD.x_train))(x))
    assert found[0].shape == x.shape
    assert torch.equal(*found)
    assert found[0].isfinite().all()


def test_importing_kornia_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Augmentation([AFFINE], as_features(FOLD.x_train))(rows())


def test_pictures_are_changed_between_black_and_white_and_scaled_back() -> None:
    """So an inverted picture is 255 less the bytes, whatever the scale."""
    x = rows()
    inverted = Augmentation([component("RandomInvert", p=1.0)], as_features(FOLD.x_train))(x)
    scale = FOLD.x_train.scale  # type: ignore[union-attr]
    torch.testing.assert_close(inverted, scale.black + scale.white - x, rtol=1e-4, atol=1e-4)
    kept = Augmentation([component("RandomInvert", p=0.0)], as_features(FOLD.x_train))(x)
    torch.testing.assert_close(kept, x, rtol=1e-4, atol=1e-5)


def test_there_is_one_draw_for_each_picture() -> None:
    x = rows()[:1].expand(32, -1, -1, -1)
    changed = Augmentation([CROP, AFFINE], as_features(FOLD.x_train))(x)
    assert len(torch.unique(changed, dim=0)) > 16


def test_a_crop_has_the_size_of_the_data_and_no_other() -> None:
    features = as_features(FOLD.x_train)
    assert Augmentation([CROP], features)(rows()).shape == (40, 3, 12, 12)
    with pytest.raises(TunecliError, match=r"RandomCrop: batches must keep their shape"):
        Augmentation([component("RandomCrop", size=[8, 8])], features)(rows())


def test_pictures_that_are_numbers_are_changed_too() -> None:
    x = torch.rand(20, 1, 8, 8) * 16
    x[:, :, 0, 0], x[:, :, 0, 1] = 0, 16
    inverted = Augmentation([component("RandomInvert", p=1.0)], TensorFeatures(x))(x)
    torch.testing.assert_close(inverted, 16 - x, rtol=1e-4, atol=1e-4)


def test_a_table_is_refused() -> None:
    x = TensorFeatures(torch.zeros(5, 3))
    with pytest.raises(TunecliError, match=r"data.augment: needs pictures, but rows have shape"):
        Augmentation([FLIP], x)
    with pytest.raises(TunecliError, match=r"training.cutmix: needs pictures"):
        BatchChange(trial(cutmix=1.0), x, 0)
    with pytest.raises(
        TunecliError, match=r"training.mixup: .* takes categories as codes, which cannot"
    ):
        BatchChange(trial(mixup=1.0), x, 1)


def test_what_cannot_be_done_is_told_before_a_trial() -> None:
    grey = fold(channels=1)
    error = rehearse(config(component("RandomRGBShift"), epochs=1), [grey]).error
    assert error.startswith("data.augment.RandomRGBShift: ")
    assert not rehearse(config(CROP, FLIP, epochs=1, mixup=0.2, cutmix=1.0), [FOLD]).error


# Training


def scores(settings: TrialConfig, data: FoldData = FOLD) -> list[tuple[float, float]]:
    return [(e.score, e.train_loss) for e in FoldTraining(settings, data, CPU)]


def test_augmentation_never_touches_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    training = FoldTraining(config(CROP, AFFINE, epochs=1, mixup=0.5), FOLD, CPU)
    seen: list[Tensor] = []
    training.model.register_forward_pre_hook(
        lambda module, inputs: None if module.training else seen.append(inputs[0].clone())
    )
    next(training)
    valid = as_features(FOLD.x_valid)
    assert torch.equal(torch.cat(seen), next(iter(valid.batches(None, [len(valid)]))))


@pytest.mark.parametrize(
    "changes", [{}, {"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 1, "cutmix": 1}]
)
def test_a_training_resumed_inside_an_epoch_gives_the_same_bits(changes: dict[str, float]) -> None:
    settings = config(
        CROP, AFFINE, component("RandomErasing"), epochs=2, eval_every=0.4, **changes
    )
    whole = FoldTraining(settings, FOLD, CPU)
    expected = list(whole)
    left = FoldTraining(settings, FOLD, CPU)
    found = [next(left)]
    taken_up = FoldTraining(settings, FOLD, CPU)
    taken_up.load_state_dict(copy.deepcopy(left.state_dict()))
    found += list(taken_up)
    assert found == expected
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(taken_up.model.state_dict()[name], weight)


def test_validation_pictures_change_nothing_of_the_training() -> None:
    settings = config(CROP, AFFINE, epochs=1, mixup=0.2)
    other = FoldData(**{**vars(FOLD), "x_valid": as_features(FOLD.x_train).first(12)})
    one, two = FoldTraining(settings, FOLD, CPU), FoldTraining(settings, other, CPU)
    losses = [next(training).train_loss for training in (one, two)]
    assert losses[0] == losses[1]
    for name, weight in one.model.state_dict().items():
        assert torch.equal(two.model.state_dict()[name], weight)


def test_settings_that_are_off_change_no_bit() -> None:
    assert scores(config(epochs=2)) == scores(config(epochs=2, mixup=0.0, cutmix=0.0))
    assert scores(config(epochs=2)) != scores(config(FLIP, epochs=2))


# Mixing


def test_mixup_is_the_mean_of_two_rows_by_its_share() -> None:
    x, y = torch.randn(16, 3), torch.arange(16)
    np.random.seed(0)
    batch = mixed(x, y, 0.4)
    assert batch.other is not None
    assert sorted(batch.other.tolist()) == y.tolist()
    expected = batch.share * x + (1 - batch.share) * x[batch.other]
    torch.testing.assert_close(batch.x, expected)


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 1.0, 50.0])
def test_shares_are_drawn_from_a_beta_distribution(alpha: float) -> None:
    np.random.seed(0)
    x, y = torch.zeros(2, 1), torch.zeros(2)
    shares = np.array([mixed(x, y, alpha).share for _ in range(2000)])
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.01)


def test_cutmix_counts_the_pixels_of_each() -> None:
    """All pixels of picture i are i, so that they tell where they are from."""
    x = torch.arange(8.0)[:, None, None, None].expand(8, 2, 9, 11)
    np.random.seed(0)
    for _ in range(50):
        batch = cut_and_mixed(x, torch.arange(8), 1.0)
        assert batch.other is not None
        own = (batch.x == x).float().mean(dim=(1, 2, 3))
        moved = batch.other != batch.y
        torch.testing.assert_close(own[moved], torch.full_like(own[moved], batch.share))
    assert torch.equal(x[3], torch.full((2, 9, 11), 3.0)), "the data itself is never changed"


@pytest.mark.parametrize(
    "loss", ["CrossEntropyLoss", "NLLLoss", "BCEWithLogitsLoss", "MultiMarginLoss"]
)
def test_the_loss_of_a_mixture_is_the_mixture_of_losses(loss: str) -> None:
    settings = config(epochs=1).model_copy(update={"loss": component(loss)})
    step = FoldTraining(settings, FOLD, CPU).step
    x, y = rows()[:8], FOLD.y_train[:8]
    other = y.flip(0)
    step._model.eval()
    both = [step._batch_loss(Batch(x, targets)).item() for targets in (y, other)]
    found = step._batch_loss(Batch(x, y, other, 0.3)).item()
    assert found == pytest.approx(0.3 * both[0] + 0.7 * both[1], rel=1e-5)
    assert isinstance(step._model, nn.Module)


def test_training_with_everything_still_learns() -> None:
    augment = (FLIP, component("RandomAffine", degrees=5.0))
    best = max(score for score, _ in scores(config(*augment, epochs=8, mixup=0.2, cutmix=0.2)))
    assert best >= 0.9
