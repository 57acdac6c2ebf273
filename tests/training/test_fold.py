from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from locations import TESTS
from torch import nn
from training_cases import CPU, classification, component, language, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.catalogue import names
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import build_model
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.state.random_state import fold_seed
from tunecli.training.step.losses import Loss
from tunecli.training.step.optimizers import build_optimizers

DROPOUT = component("MLP", width=8, depth=2, dropout=0.3, batch_norm=True)
MOMENTUM = component("SGD", lr=0.05, momentum=0.9)

CASES: dict[str, TrialConfig] = {
    "plain": trial(),
    "dropout and batch norm": trial(model=DROPOUT),
    "ema": trial(model=DROPOUT, ema=0.9),
    "cosine": trial(schedule=component("CosineAnnealingLR")),
    "multi-step": trial(schedule=component("MultiStepLR", milestones=[1, 3])),
    "one cycle, warm-up": trial(schedule=component("OneCycleLR"), warmup=0.3, optimizer=MOMENTUM),
    "cyclic": trial(schedule=component("CyclicLR", step_size_up=3), eval_every=0.5),
    "plateau": trial(schedule=component("ReduceLROnPlateau", patience=0), epochs=6),
    "plateau, rare scores": trial(
        schedule=component("ReduceLROnPlateau", patience=0), steps=24, eval_every=3
    ),
    "accumulate": trial(accumulate=2, eval_every=0.4),
    "noise, l1, clipping": trial(input_noise=0.2, l1=1e-3, clip_norm=1.0, clip_value=0.5),
    "muon": trial(
        optimizer=component("Muon", lr=0.02, rest=component("AdamW", lr=0.01)),
        schedule=component("StepLR", step_size=1),
        decay="weights",
    ),
    "lbfgs": trial(
        optimizer=component("LBFGS", lr=0.5, max_iter=4),
        batch_size="full",
        schedule=component("ExponentialLR", gamma=0.9),
    ),
    "steps": trial(steps=17, eval_every=4),
    "evaluations within a step": trial(batch_size="full", eval_every=0.5),
    "bf16": trial(dtype="bf16"),
    **({"fp16": trial(dtype="fp16")} if torch.cuda.is_available() else {}),
    "language": trial(
        model=component("TransformerDecoder", d_model=8, nhead=2, num_layers=2, dropout=0.2),
        direction="minimize",
        metric="perplexity",
        metrics=("bits_per_byte", "token_accuracy", "log_loss"),
        accumulate=2,
    ),
    "regression": trial(
        loss="SmoothL1Loss", direction="minimize", metric="rmse", metrics=("mae", "r2")
    ),
} | {
    name: trial(optimizer=component(name), epochs=3)
    for name in names.names("optimizer")
    if name not in ("Muon", "LBFGS")
}


def fold_for(config: TrialConfig, number: int = 0) -> FoldData:
    folds = {"rmse": regression, "perplexity": language}
    return folds.get(config.objective.metric.name, classification)(number)


def training_of(config: TrialConfig, number: int = 0) -> FoldTraining:
    device = torch.device("cuda") if config.training.dtype == "fp16" else CPU
    return FoldTraining(config, fold_for(config, number), device)


def advance(training: FoldTraining, n: int) -> list[Evaluation]:
    """The next `n` evaluations, the second of all of them kept as the best."""
    evaluations = []
    for _ in range(n):
        evaluations.append(next(training))
        if evaluations[-1].step == 1:
            training.keep()
    return evaluations


def fingerprint(training: FoldTraining) -> list[torch.Tensor]:
    """All numbers that a finished training leaves behind."""
    best = training.best_model().state_dict()
    outputs = [] if training.best_outputs is None else [torch.from_numpy(training.best_outputs)]
    return [*training.model.state_dict().values(), *best.values(), *outputs]


def assert_same(one: FoldTraining, other: FoldTraining) -> None:
    for a, b in zip(fingerprint(one), fingerprint(other), strict=True):
        assert torch.equal(a, b)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


# exactness


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_training_equals_an_uninterrupted_one(name: str) -> None:
    config = CASES[name]
    whole = training_of(config)
    n = len(whole.timetable.evaluations)
    expected = advance(whole, n)
    seen: list[Evaluation] = []
    training = training_of(config)
    for i in range(n):  # interrupted after every evaluation
        seen += advance(training, 1)
        state = through_a_file(training.state_dict())
        training = training_of(config)
        if i % 2:
            training.model.train()
            next(training)  # what it did before loading must not matter
        training.load_state_dict(state)
    assert seen == expected
    assert_same(training, whole)
    assert next(training, None) is None


CONTINUE = """
import sys, torch
sys.path[:0] = sys.argv[1:3]
torch.set_num_threads(1)
from test_fold import CASES, advance, fingerprint, training_of
saved = torch.load(sys.argv[3], weights_only=True)
results = {}
for name, state in saved.items():
    training = training_of(CASES[name])
    training.load_state_dict(state)
    n = len(training.timetable.evaluations) - 2
    curve = [[e.train_loss, e.score, e.lr, e.epoch] for e in advance(training, n)]
    results[name] = [curve, fingerprint(training)]
torch.save(results, sys.argv[4])
"""


def test_a_training_goes_on_bit_for_bit_in_a_new_process(tmp_path: Path) -> None:
    saved, expected = {}, {}
    for name, config in CASES.items():
        training = training_of(config)
        advance(training, 2)
        saved[name] = through_a_file(training.state_dict())
        rest = advance(training, len(training.timetable.evaluations) - 2)
        curve = [[e.train_loss, e.score, e.lr, e.epoch] for e in rest]
        expected[name] = [curve, fingerprint(training)]
    torch.save(saved, tmp_path / "saved.pt")
    here = Path(__file__).parent
    arguments = [str(here), str(TESTS), str(tmp_path / "saved.pt"), str(tmp_path / "out.pt")]
    subprocess.run([sys.executable, "-W", "error", "-c", CONTINUE, *arguments], check=True)
    results = torch.load(tmp_path / "out.pt", weights_only=True)
    for name, (curve, numbers) in expected.items():
        assert results[name][0] == curve, name
        for a, b in zip(results[name][1], numbers, strict=True):
            assert torch.equal(a, b), name


@pytest.mark.parametrize("name", ["dropout and batch norm", "noise, l1, clipping", "lbfgs"])
def test_lockstep_equals_one_after_another(name: str) -> None:
    config = CASES[name]
    apart = [training_of(config, number) for number in range(3)]
    expected = [advance(training, 4) for training in apart]
    together = [training_of(config, number) for number in range(3)]
    rounds = [[advance(training, 1)[0] for training in together] for _ in range(4)]
    assert [list(curve) for curve in zip(*rounds, strict=True)] == expected
    for one, other in zip(apart, together, strict=True):
        assert_same(one, other)


def test_training_depends_on_seed_and_fold_and_on_nothing_outside() -> None:
    first = training_of(CASES["dropout and batch norm"])
    expected = advance(first, 4)
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    again = training_of(CASES["dropout and batch norm"])
    assert advance(again, 4) == expected
    other_seed = training_of(trial(model=DROPOUT, seed=1))
    assert advance(other_seed, 4) != expected
    same_rows = FoldTraining(
        trial(model=DROPOUT), FoldData(**{**vars(classification(0)), "number": 1}), CPU
    )
    assert advance(same_rows, 4) != expected


def test_the_world_outside_is_not_disturbed() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    threads = torch.get_num_threads()
    advance(training_of(trial(model=DROPOUT, threads=threads + 1, deterministic=False)), 2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", names.names("optimizer"))
def test_training_is_the_plain_loop_with_a_closure(name: str) -> None:
    fold = classification()
    batch_size: Any = "full" if name == "LBFGS" else 8
    config = trial(optimizer=component(name), epochs=3, batch_size=batch_size)
    training = FoldTraining(config, fold, CPU)
    for _ in training:
        pass
    torch.manual_seed(fold_seed(0, 0))
    model = build_model(config.model, fold.shape, 3)
    optimizers = build_optimizers(config.optimizer, model, "all")
    for _ in range(3):
        order = torch.arange(41) if name == "LBFGS" else torch.randperm(41)
        sizes = [41] if name == "LBFGS" else [8, 8, 8, 8, 9]
        for rows in order.split(sizes):

            def closure(rows: torch.Tensor = rows) -> torch.Tensor:
                model.zero_grad()
                loss = nn.functional.cross_entropy(model(fold.x_train[rows]), fold.y_train[rows])
                loss.backward()
                return loss

            if len(optimizers) == 1:
                optimizers[0].step(closure)  # type: ignore[arg-type]
            else:
                closure()
                for optimizer in optimizers:
                    optimizer.step()
    for ours, by_hand in zip(training.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, by_hand)


# evaluations


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"epochs": 3}, [1, 2, 3]),
        ({"epochs": 2, "eval_every": 0.4}, [0.4, 0.8, 1.2, 1.6, 2.0]),  # of 5 batches
        ({"epochs": 2, "accumulate": 2, "eval_every": 0.5}, [0.8, 1.0, 1.8, 2.0]),
        ({"steps": 7, "eval_every": 3}, [0.6, 1.2, 1.4]),
        ({"epochs": 2, "batch_size": "full", "eval_every": 0.5}, [1, 1, 2, 2]),
    ],
)
def test_epochs_of_evaluations(settings: dict[str, Any], epochs: list[float]) -> None:
    evaluations = list(training_of(trial(**settings)))
    assert [evaluation.epoch for evaluation in evaluations] == pytest.approx(epochs)
    assert [evaluation.step for evaluation in evaluations] == list(range(len(epochs)))
    assert all(np.isfinite(evaluation.train_loss) for evaluation in evaluations)


def test_train_loss_is_the_mean_over_rows() -> None:
    training = training_of(trial(optimizer=component("SGD", lr=0.0)))
    fold = training.fold
    expected = nn.functional.cross_entropy(training.model(fold.x_train), fold.y_train).item()
    assert [e.train_loss for e in training] == pytest.approx([expected] * 4, rel=1e-5)


def test_scores_are_those_of_the_kept_outputs_and_the_best_model() -> None:
    config = trial(model=DROPOUT, ema=0.8, input_noise=0.5, metrics=("log_loss", "accuracy"))
    training = training_of(config)
    evaluations = advance(training, 3)
    best = training.best_model()
    assert not best.training
    outputs = best(training.fold.x_valid).double().softmax(1)
    assert training.best_outputs is not None
    np.testing.assert_allclose(training.best_outputs, outputs.detach().numpy(), rtol=1e-5)
    hits = (outputs.argmax(1) == training.fold.y_valid).double().mean().item()
    assert evaluations[1].score == pytest.approx(hits)
    assert set(evaluations[1].metrics) == {"log_loss"}


def test_ema_is_evaluated_and_not_trained_on() -> None:
    plain, averaged = training_of(trial()), training_of(trial(ema=0.9))
    one, other = advance(plain, 4), advance(averaged, 4)
    assert [e.train_loss for e in one] == [e.train_loss for e in other]
    for a, b in zip(plain.model.parameters(), averaged.model.parameters(), strict=True):
        assert torch.equal(a, b)
    averaged.keep()  # at the newest weights, so that only the average makes a difference
    outputs = averaged.model.eval()(averaged.fold.x_valid).softmax(1).detach().numpy()
    assert averaged.best_outputs is not None
    assert not np.allclose(averaged.best_outputs, outputs, atol=1e-4)
    outputs = averaged.best_model()(averaged.fold.x_valid).softmax(1).detach().numpy()
    np.testing.assert_allclose(averaged.best_outputs, outputs, rtol=1e-5)


def test_what_was_evaluated_before_a_resume_can_be_kept_after_it() -> None:
    training = training_of(trial())
    advance(training, 1)
    resumed = training_of(trial())
    resumed.load_state_dict(through_a_file(training.state_dict()))
    for one in (training, resumed):
        one.keep()
    assert_same(training, resumed)


def test_evaluation_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = advance(training_of(trial(metrics=("log_loss",))), 2)
    monkeypatch.setattr("tunecli.training.fold.BLOCK_BYTES", 1)
    parts = advance(training_of(trial(metrics=("log_loss",))), 2)
    for one, other in zip(whole, parts, strict=True):
        assert one.metrics["log_loss"] == pytest.approx(other.metrics["log_loss"], rel=1e-5)


def row_counts(model: nn.Module) -> list[int]:
    """Rows of each forward pass to come, those of training left out."""
    counts: list[int] = []
    model.register_forward_pre_hook(
        lambda model, given: None if model.training else counts.append(len(given[0]))
    )
    return counts


@pytest.mark.parametrize("batch_size", [1, 2, 8, 100, "full"])
def test_an_evaluation_takes_few_rows_at_once_and_gives_the_same_bits(batch_size: Any) -> None:
    config = trial(batch_size=batch_size, epochs=1, metrics=("log_loss",))
    fold = classification(n_valid=90)
    outputs = []
    for _ in range(2):
        training = FoldTraining(config, fold, CPU)
        sizes = row_counts(training.model)
        next(training)
        training.keep()
        assert training.best_outputs is not None
        outputs.append(training.best_outputs)
        assert sum(sizes) == 90
        largest = len(fold.y_train) if batch_size == "full" else batch_size
        assert max(sizes) <= Loss.n_evaluated * largest
    assert np.array_equal(*outputs)


def test_best_model_is_a_copy() -> None:
    training = training_of(trial())
    advance(training, 2)
    before = [p.clone() for p in training.best_model().parameters()]
    with torch.no_grad():
        for parameter in training.best_model().parameters():
            parameter.zero_()
    advance(training, 2)
    for one, other in zip(before, training.best_model().parameters(), strict=True):
        assert torch.equal(one, other)


def test_number_of_weights() -> None:
    assert training_of(trial()).n_weights == (4 * 8 + 8) + (8 * 8 + 8) + (8 * 3 + 3)
