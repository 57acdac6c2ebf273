"""Models, losses, optimizers, schedules and metrics of the user's own, in tunecli's loop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.data.user_code import import_user_code
from tunecli.errors import UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.compression.costs import macs
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import build_model
from tunecli.training.models.fine_tuning import rate_factors
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.trial_failures import failure
from tunecli.training.rehearsal import build_error, rehearse
from tunecli.training.step.losses import build_loss

PARTS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, in_features, out_features, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, out_features)
        )
    def forward(self, x):
        return self.layers(x)

class Tells(nn.Module):
    def __init__(self, **told):
        super().__init__()
        self.told = told

class Asks(Tells):
    def __init__(self, in_features, in_channels, image_size, num_classes, cat_cardinalities,
                 n_cont_features, shape, n_outputs):
        super().__init__(**{k: v for k, v in locals().items() if k not in ("self", "__class__")})

class Apart(nn.Module):
    def __init__(self, n_cont_features, cat_cardinalities, n_outputs):
        super().__init__()
        n, self.cardinalities = n_outputs, cat_cardinalities
        self.numbers = nn.Linear(n_cont_features, n) if n_cont_features else None
        self.tables = nn.ModuleList(nn.Embedding(size, n) for size in cat_cardinalities)
    def forward(self, x_cont, x_cat):
        assert (x_cont is None) == (self.numbers is None)
        assert (x_cat is None) == (not self.cardinalities)
        outputs = 0 if x_cont is None else self.numbers(x_cont)
        for i, table in enumerate(self.tables):
            outputs = outputs + table(x_cat[:, i])
        return outputs

class Whole(Apart):
    def forward(self, x, scale=1.0):
        n = x.shape[1] - len(self.cardinalities)
        return super().forward(scale * x[:, :n], x[:, n:].long())

class Deep(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, 8)
        self.norm = nn.BatchNorm1d(8)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, out_features)
    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x))))

class Bare(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.only = nn.Linear(in_features, out_features)
    def forward(self, x):
        return self.only(x)

class Freezes(Deep):
    def __init__(self, in_features, out_features, freeze, backbone_lr=1.0):
        super().__init__(in_features, out_features)
        self.told = (freeze, backbone_lr)

def raises():
    raise ValueError("no such thing")

def nothing():
    return 3

class Wide(Net):
    def forward(self, x):
        return super().forward(x).repeat(1, 2)

class Many(Net):
    def forward(self, x):
        return torch.stack([super(Many, self).forward(x), 2 * super(Many, self).forward(x)], dim=1)

class ManyWide(Wide):
    def forward(self, x):
        return super().forward(x).unsqueeze(1)

class Late(Net):
    def forward(self, x):
        if self.training:
            raise KeyError("late")
        return super().forward(x)

def entropy(outputs, y, factor=1.0):
    return factor * nn.functional.cross_entropy(outputs, y)

class Squared(nn.Module):
    def forward(self, outputs, y):
        return ((outputs - y) ** 2).mean()

def rowwise(outputs, y):
    return nn.functional.cross_entropy(outputs, y, reduction="none")

class Descent(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad

def steps(optimizer, size=2):
    return torch.optim.lr_scheduler.StepLR(optimizer, size)

def accuracy(y_true, y_pred):
    return (y_true == y_pred).mean()

def likelihood(y_true, y_score):
    return y_score[range(len(y_true)), y_true].mean()

def text(y_true, y_pred):
    return "good"
"""


@pytest.fixture(autouse=True)
def _permitted(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "parts.py").write_text(PARTS)
    import_user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "parts.py")]))
    yield
    import_user_code.permit(AllowedCode(Path()))


def run(config: TrialConfig) -> TrialResult:
    folds = [classification(number) for number in range(2)]
    training = CrossValidation(config, folds, CPU)
    for _ in training:
        pass
    return training.result()


def test_own_parts_that_do_what_torch_does_give_the_same_bits() -> None:
    own = trial(
        loss=component("parts.py:entropy"),
        optimizer=component("parts.py:Descent", lr=0.1),
        schedule=component("parts.py:steps"),
        metric="parts.py:accuracy",
    )
    library = trial(optimizer=component("SGD", lr=0.1), schedule=component("StepLR", step_size=2))
    one, other = run(own), run(library)
    assert one.outcome == other.outcome == "complete"
    assert one.value == pytest.approx(other.value, abs=1e-12)


def test_own_regression_loss_gets_values_of_one_shape() -> None:
    fold = regression()
    loss = build_loss(component("parts.py:Squared"), fold)
    library = build_loss(component("MSELoss"), fold)
    outputs = torch.randn(len(fold.y_train), 1)
    assert torch.equal(loss(outputs, fold.y_train), library(outputs, fold.y_train))
    assert (loss.predict(outputs) == library.predict(outputs)).all()


def test_arguments_named_after_the_data_are_filled_in() -> None:
    told = build_model(component("parts.py:Asks"), (3, 8, 8), 5).told
    assert told["in_features"] == 192
    assert told["in_channels"] == 3
    assert told["image_size"] == 8
    assert told["num_classes"] == told["n_outputs"] == 5
    assert told["shape"] == (3, 8, 8)
    given = build_model(component("parts.py:Asks", num_classes=7), (3, 8, 6), 5).told
    assert given["num_classes"] == 7
    assert given["image_size"] == (8, 6)


CODED = Columns((3, 7))
ROWS = torch.tensor([[0.5, -1.5, 2.0, 6.0], [1.5, 0.0, 0.0, 1.0]])


def test_numbers_and_codes_are_given_apart_to_a_model_that_takes_two() -> None:
    torch.manual_seed(0)
    apart = build_model(component("parts.py:Apart"), (4,), 3, CODED)
    numbers, tables = apart.get_submodule("model.numbers"), apart.get_submodule("model.tables")
    expected = numbers(ROWS[:, :2]) + tables[0].weight[[2, 0]] + tables[1].weight[[6, 1]]
    assert torch.equal(apart(ROWS), expected)
    torch.manual_seed(0)
    whole = build_model(component("parts.py:Whole"), (4,), 3, CODED)
    assert torch.equal(whole(ROWS), expected)
    assert macs(apart, ROWS[:1]) == macs(whole, ROWS[:1]) == 6


def test_what_a_table_does_not_have_is_none() -> None:
    numbers = build_model(component("parts.py:Apart"), (4,), 3, Columns())
    assert numbers(ROWS).shape == (2, 3)
    codes = build_model(component("parts.py:Apart"), (2,), 3, CODED)
    assert codes(ROWS[:, 2:]).shape == (2, 3)


def with_codes(fold: FoldData) -> FoldData:
    """Codes behind the numbers, of which the first tells the class."""

    def coded(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.stack([y, (2 * y) % 7], dim=1).float()], dim=1)

    assert isinstance(fold.x_train, torch.Tensor)
    assert isinstance(fold.x_valid, torch.Tensor)
    return replace(
        fold,
        x_train=coded(fold.x_train, fold.y_train),
        x_valid=coded(fold.x_valid, fold.y_valid),
        cat_cardinalities=CODED.cat_cardinalities,
    )


def trained(model: Component, epochs: int) -> TrialResult:
    config = trial(model=model, optimizer=component("AdamW", lr=0.05), epochs=epochs)
    training = CrossValidation(config, [with_codes(classification(n)) for n in range(2)], CPU)
    for _ in training:
        pass
    return training.result()


def test_a_model_of_two_parts_learns_from_codes() -> None:
    apart, whole = (trained(component(f"parts.py:{name}"), 30) for name in ("Apart", "Whole"))
    assert apart.value == 1.0
    assert apart.value == whole.value


def test_an_ft_transformer_trains_and_its_costs_are_known() -> None:
    pytest.importorskip("rtdl_revisiting_models")
    import_user_code.permit(AllowedCode.of(Path(), ["rtdl_revisiting_models"]))
    sizes = {"n_blocks": 1, "d_block": 8, "attention_n_heads": 2, "ffn_d_hidden": 8}
    dropouts = dict.fromkeys(("attention_dropout", "ffn_dropout", "residual_dropout"), 0.0)
    name = "rtdl_revisiting_models:FTTransformer"
    model = component(name, d_out=3, ffn_d_hidden_multiplier=None, **sizes, **dropouts)
    assert trained(model, 20).value > 0.8  # the commonest class: 0.4
    built = build_model(model, (4,), 3, CODED)
    assert macs(built, ROWS[:1]) > 0


def test_a_model_may_predict_each_row_several_times() -> None:
    fold = classification()
    config = trial(model=component("parts.py:Many"), loss=component("parts.py:entropy"))
    assert build_error(config, [fold]) == ""
    assert rehearse(config, [fold]).error == ""
    training = FoldTraining(config, fold, CPU)
    evaluation = next(training)
    training.keep()
    with torch.no_grad():
        outputs = training.best_model()(fold.x_valid)
    assert outputs.shape == (12, 2, 3)
    hits = outputs.double().softmax(2).mean(1).argmax(1) == fold.y_valid
    assert evaluation.score == pytest.approx(hits.double().mean().item())


def _frozen(name: str, freeze: object) -> list[str]:
    model = build_model(component(f"parts.py:{name}", freeze=freeze), (4,), 3)
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def test_leading_children_are_frozen_and_a_lone_child_is_entered() -> None:
    first = ["first.weight", "first.bias", "norm.weight", "norm.bias"]
    second = ["second.1.weight", "second.1.bias"]
    assert _frozen("Deep", 0) == []
    assert _frozen("Deep", 1) == first
    assert _frozen("Deep", 2) == _frozen("Deep", "features") == [*first, *second]
    assert _frozen("Net", 1) == _frozen("Net", "features") == ["layers.0.weight", "layers.0.bias"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Deep", {"freeze": 3}, r"a number of blocks from 0 to 2, but got 3"),
        ("Bare", {"freeze": "features"}, "Bare has no weights before its head"),
        ("Bare", {"backbone_lr": 0.1}, "Bare has no weights before its head"),
        ("Deep", {"backbone_lr": 0.0}, "backbone_lr must be above 0"),
    ],
)
def test_what_cannot_be_frozen_or_slowed_down_is_told(
    name: str, arguments: dict[str, object], message: str
) -> None:
    config = trial(model=component(f"parts.py:{name}", **arguments))
    assert re.search(message, build_error(config, [classification()]))


def test_before_the_head_weights_move_by_backbone_lr() -> None:
    def moved(**arguments: float) -> dict[str, torch.Tensor]:
        model = component("parts.py:Deep", **arguments)
        sgd = component("SGD", lr=0.01)
        config = trial(model=model, optimizer=sgd, steps=1, epochs=None, batch_size="full")
        training = FoldTraining(config, classification(), CPU)
        before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
        next(training)
        return {name: p.detach() - before[name] for name, p in training.model.named_parameters()}

    plain, slow = moved(), moved(backbone_lr=0.125)
    assert any(step.abs().max() > 1e-4 for step in plain.values())
    for name, step in plain.items():
        factor = 1.0 if name.startswith("head") else 0.125
        torch.testing.assert_close(slow[name], step * factor, atol=2e-7, rtol=1e-3)


def test_a_constructor_with_arguments_of_these_names_gets_them() -> None:
    chosen = component("parts.py:Freezes", freeze=1, backbone_lr=0.5)
    model = build_model(chosen, (4,), 3)
    assert model.told == (1, 0.5)
    assert all(p.requires_grad for p in model.parameters())
    assert rate_factors(chosen, model) == {}


def test_metrics_get_classes_or_probabilities_as_they_ask() -> None:
    fold = classification()
    y = fold.y_valid.numpy()
    probabilities = torch.randn(len(y), 3).softmax(1).numpy()
    found = measure(
        [component("parts.py:accuracy"), component("parts.py:likelihood"), component("accuracy")],
        "classification",
        y,
        probabilities,
        3,
    )
    assert found["accuracy"] == (probabilities.argmax(1) == y).mean()
    assert found["likelihood"] == probabilities[range(len(y)), y].mean()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            trial(model=component("parts.py:raises")),
            r"ValueError: no such thing \(parts.py, line ",
        ),
        (trial(model=component("parts.py:nothing")), "a model must be a torch.nn.Module"),
        (trial(model=component("parts.py:Wide")), "3 outputs per row"),
        (trial(model=component("parts.py:ManyWide")), "3 outputs per row"),
        (trial(loss=component("parts.py:rowwise")), "a loss must return one tensor"),
        (trial(optimizer=component("parts.py:nothing")), "nothing"),
        (trial(schedule=component("parts.py:nothing")), "nothing"),
        (
            trial(metric="parts.py:text"),
            r"\Aobjective\.parts\.py:text: text is 'good', but must be a number",
        ),
        (trial(model=component("parts.py:Missing")), "Missing does not exist in parts.py"),
        (trial(model=component("other.py:Net")), "file 'other.py' does not exist"),
    ],
)
def test_what_is_wrong_is_found_before_the_first_trial(config: TrialConfig, message: str) -> None:
    folds = [classification()]
    found = build_error(config, folds)
    assert "\n" not in found
    assert re.search(message, found)
    assert re.search(message, rehearse(config, folds).error)


def test_an_error_in_training_names_file_and_line() -> None:
    config = trial(model=component("parts.py:Late"))
    with pytest.raises(KeyError, match="late") as raised:
        run(config)
    result = failure(raised.value, seconds=0, peak_memory=0)
    assert result.reason.startswith("error: KeyError: 'late' (parts.py, line ")
    assert "parts.py" in result.traceback


def test_a_file_that_changes_while_it_is_searched_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text("class Net: ...\n")
    import_user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "later.py")]))
    (tmp_path / "later.py").write_text("class Net: ...\n\n")
    with pytest.raises(UserCodeError, match="has changed since the search began"):
        import_user_code.load_object("later.py:Net")


def test_nothing_is_permitted_to_begin_with() -> None:
    import_user_code.permit(AllowedCode(Path(__file__).parent))
    with pytest.raises(UserCodeError, match=r"runs only if .* add --code .*test_user_parts.py"):
        import_user_code.load_object("test_user_parts.py:trial")
    with pytest.raises(UserCodeError, match=r"runs only if .* add --code os\."):
        import_user_code.load_object("os:system")


def test_a_model_that_asks_for_codes_embeds_categories() -> None:
    fold = replace(classification(), cat_cardinalities=(3,))
    from tunecli.training.models.building import embeds_categories
    from tunecli.training.models.layers.embeddings import Columns

    assert embeds_categories(component("parts.py:Asks"))
    assert not embeds_categories(component("parts.py:Net"))
    model = build_model(component("parts.py:Asks"), (4,), 3, Columns.of(fold))
    assert isinstance(model, nn.Module)
    assert model.told["cat_cardinalities"] == [3]
    assert model.told["n_cont_features"] == 3
