"""Rules between settings: each pair that cannot train is told, and its neighbours are not."""

from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.catalogue.names import TEXT_MODELS
from tunecli.study_file.read.rules import conflicts
from tunecli.study_file.study_file import StudyFile

BASE = {
    "data": "digits",
    "model": "MLP",
    "optimizer": "{SGD: {lr: 0.1}}",
}

TABLE = {"data": "{source: t.csv, target: y}"}
TEXT = {"data": "{source: t.csv, target: y, text: a}"}


def study(sections: dict[str, str]) -> StudyFile:
    text = "\n".join(f"{name}: {value}" for name, value in (BASE | sections).items())
    return StudyFile.from_text(text, "a.yaml").completed("classification", 1797)


def mistakes(sections: dict[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(StudyFileError, match=r"a\.yaml") as caught:
        study(sections)
    return [(problem.path, problem.message) for problem in caught.value.problems]


LBFGS = {"optimizer": "LBFGS", "training": "{batch_size: full}"}


@pytest.mark.parametrize(
    ("sections", "path", "part"),
    [
        (LBFGS | {"training": "{batch_size: 32}"}, "training.batch_size", "but got 32"),
        ({"optimizer": "LBFGS"}, "training.batch_size", "needs batch_size: full"),
        (LBFGS | {"model": "{MLP: {dropout: 0.1}}"}, "model.MLP.dropout", "without dropout"),
        (
            LBFGS | {"model": "{MLP: {dropout: {float: [0, 0.1]}}}"},
            "model.MLP.dropout",
            "but got 0.1",
        ),
        (
            LBFGS | TEXT | {"model": "{EmbeddingBag: {embed_dropout: 0.1}}"},
            "model.EmbeddingBag.embed_dropout",
            "without dropout, but got 0.1. Write embed_dropout: 0.",
        ),
        (LBFGS | {"training": "{batch_size: full, clip_norm: 1}"}, "training.clip_norm", "LBFGS"),
        (
            LBFGS | {"training": "{batch_size: full, clip_value: 1}"},
            "training.clip_value",
            "LBFGS",
        ),
        (LBFGS | {"training": "{batch_size: full, dtype: fp16}"}, "training.dtype", "LBFGS"),
        (LBFGS | {"training": "{batch_size: full, decay: weights}"}, "training.decay", "LBFGS"),
        (
            LBFGS | {"training": "{batch_size: full, input_noise: 0.1}"},
            "training.input_noise",
            "LBFGS",
        ),
        (
            TEXT
            | {
                "model": "{AutoModelForSequenceClassification: {config: gpt2, freeze: 1, "
                "adapter: LoraConfig}}"
            },
            "model.AutoModelForSequenceClassification.freeze",
            "has no effect with an adapter",
        ),
        (
            TEXT
            | {"model": "{AutoModelForSequenceClassification: {config: gpt2, max_length: 9}}"},
            "model.AutoModelForSequenceClassification.max_length",
            "write data.max_length",
        ),
        ({"training": "{batch_size: full, accumulate: 2}"}, "training.accumulate", "but got 2"),
        ({"compression": "{merge: true}"}, "compression.merge", "an adapter, but MLP has none"),
        ({"training": "{epochs: 3, steps: 3}"}, "training.steps", "only one of epochs and steps"),
        ({"training": "{epochs: none}"}, "training.epochs", "got neither"),
        ({"training": "{steps: 9, eval_every: 0.5}"}, "training.eval_every", "whole number"),
        ({"training": "{steps: 9, eval_every: 10}"}, "training.eval_every", "no evaluation"),
        ({"training": "{epochs: 2, eval_every: 3}"}, "training.eval_every", "are 2 epochs"),
        (
            {"training": "{smooth_score: 2}"},
            "training.smooth_score",
            "an odd whole number above 1",
        ),
        ({"training": "{smooth_score: -3}"}, "training.smooth_score", "above 1, but got -3."),
        ({"training": "{smooth_score: 0}"}, "training.smooth_score", "but got 0."),
        ({"training": "{smooth_score: 5.0}"}, "training.smooth_score", "but got 5.0."),
        ({"training": "{smooth_score: true}"}, "training.smooth_score", "but got true."),
        ({"training": "{smooth_score: {int: [3, 9]}}"}, "training.smooth_score", "range"),
        (
            {"training": "{epochs: 4, smooth_score: 5}"},
            "training.smooth_score",
            "at most the number of evaluations, 4, but got 5. Lower smooth_score or eval_every.",
        ),
        (
            {"training": "{epochs: {int: [4, 9]}, smooth_score: 5}"},
            "training.smooth_score",
            "number of evaluations, 4",
        ),
        (
            {"training": "{steps: 50, smooth_score: 11}"},
            "training.smooth_score",
            "evaluations, 10",
        ),
        (
            {"training": "{smooth_score: 7, early_stopping: {patience: 2}}"},
            "training.early_stopping.patience",
            "must be above 2, but got 2: with smooth_score 7, an improvement shows 2 "
            "evaluations later. Raise patience.",
        ),
        (
            {"validation": "{folds: 2, racing: on}"},
            "validation.racing",
            "racing needs at least 3 folds, but got 2 folds. Write folds: 5, or remove racing.",
        ),
        ({"validation": "{holdout: 0.2, racing: on}"}, "validation.racing", "but got 1 fold."),
        (
            {
                "validation": "{racing: on}",
                "objective": "[{maximize: accuracy}, {minimize: size}]",
            },
            "validation.racing",
            "needs a single objective: with several, a trial that is bad on the first one may be "
            "the best on another. Remove racing, or write racing: auto.",
        ),
        ({"validation": "{racing: true}"}, "validation.racing", "but got true."),
        ({"training": "{device: cpu, dtype: fp16}"}, "training.dtype", "bf16"),
        ({"training": "{device: mps, dtype: tf32}"}, "training.dtype", "device: cuda"),
        ({"training": "{device: mps, dtype: fp16}"}, "training.dtype", "device: cuda"),
        ({"training": "{epochs: 10001}"}, "training.epochs", "Write eval_every: 2 or more"),
        (
            {"training": "{epochs: 1, eval_every: 9e-5}"},
            "training.eval_every",
            "every 9e-05 would have 11,111. Write eval_every: 0.0001 or more.",
        ),
        (
            {"training": "{steps: 1000000, eval_every: {int: [99, 200]}}"},
            "training.eval_every",
            "at most 10,000 evaluations",
        ),
        ({"training": "{epochs: 1, eval_every: 1e-320}"}, "training.eval_every", "would have inf"),
        ({"model": "Linear", "optimizer": "Muon"}, "optimizer", "Linear has none"),
        (
            {"data": "{source: iris, scale: {smooth_clip: {limit: 0}}}"},
            "data.scale.smooth_clip.limit",
            "above 0",
        ),
        ({"model": "TabM", "optimizer": "Muon"}, "optimizer", "TabM has many versions of each"),
        (
            {"optimizer": "{SGD: {lr: 0.1, nesterov: true}}"},
            "optimizer.SGD.nesterov",
            "momentum above 0",
        ),
        (
            {"optimizer": "{SGD: {lr: 0.1, nesterov: true, momentum: {float: [0, 0.9]}}}"},
            "optimizer.SGD.nesterov",
            "momentum above 0",
        ),
        (
            {"optimizer": "{SGD: {lr: 1, nesterov: true, momentum: 0.9, dampening: 0.1}}"},
            "optimizer.SGD.nesterov",
            "dampening: 0",
        ),
        (
            {"schedule": "{CyclicLR: {base_lr: 0.1}}"},
            "schedule.CyclicLR.base_lr",
            "below the highest rate, 0.1",
        ),
        (
            {"schedule": "{OneCycleLR: {cycle_momentum: true}}", "optimizer": "Adagrad"},
            "schedule.OneCycleLR.cycle_momentum",
            "no momentum to cycle",
        ),
        (
            {"model": "{MLP: {batch_norm: true}}", "training": "{batch_size: 1}"},
            "training.batch_size",
            "at least 2 rows",
        ),
        ({"optimizer": "{SGD: {lr: 0}}"}, "optimizer.SGD.lr", "above 0, but got 0"),
        ({"optimizer": "{SGD: {lr: -1}}"}, "optimizer.SGD.lr", "above 0, but got -1"),
        ({"model": "{MLP: {dropout: 1.0}}"}, "model.MLP.dropout", "below 1, but got 1"),
    ],
)
def test_what_does_not_go_together(sections: dict[str, str], path: str, part: str) -> None:
    found = mistakes(sections)
    assert [at for at, _ in found] == [path], "one error for one mistake"
    assert part in found[0][1]


@pytest.mark.parametrize(
    "sections",
    [
        LBFGS,
        LBFGS | {"model": "{MLP: {dropout: 0}}"},
        {"training": "{batch_size: full}"},
        {"training": "{accumulate: 2}"},
        {"training": "{steps: 9, eval_every: 9}"},
        {"training": "{smooth_score: none}"},
        {"training": "{smooth_score: 1, early_stopping: {patience: 1}}"},
        {"training": "{epochs: 3, eval_every: 0.2, smooth_score: 15}"},
        {"training": "{steps: 50, smooth_score: 9}"},
        {"training": "{smooth_score: 7, early_stopping: {patience: 3}}"},
        {
            "training": "{smooth_score: 7, early_stopping: {patience: 1, monitor: train_loss}}",
        },
        {"training": "{epochs: 2, eval_every: 0.5}"},
        {"training": "{device: cpu, dtype: bf16}"},
        {"training": "{dtype: fp16}"},
        {"optimizer": "Muon"},
        {"optimizer": "{SGD: {lr: 0.1, nesterov: true, momentum: {float: [0.1, 0.9]}}}"},
        {"schedule": "OneCycleLR"},
        {"schedule": "OneCycleLR", "training": "{warmup: 0.1}"},
        {"schedule": "CyclicLR", "training": "{warmup: 0.1}"},
        {"schedule": "{CyclicLR: {base_lr: 0.01}}"},
        {"schedule": "StepLR".join(["{", ": {step_size: 3}}"]), "training": "{warmup: 0.1}"},
        {"model": "{MLP: {batch_norm: true}}", "training": "{batch_size: 2}"},
        {"model": "{CNN: {batch_norm: true}}", "training": "{batch_size: 1}"},
        {"model": "MLP", "training": "{batch_size: 1}"},
        {"training": "{epochs: 10000}"},
        {"training": "{epochs: 1000000, eval_every: 100}"},
        {"training": "{steps: 1000000000}"},
    ],
)
def test_what_does(sections: dict[str, str]) -> None:
    first = study(sections).resolve(lambda name, r: r.low if hasattr(r, "low") else r.choices[0])
    assert conflicts(first) == []


def test_pairs_of_choices_are_tried_wherever_they_stand() -> None:
    found = mistakes(
        {
            "optimizer": "{choice: [AdamW, LBFGS]}",
            "training": "{batch_size: {choice: [full, 32]}, accumulate: {choice: [1, 2]}}",
            "model": "{choice: [Linear, {MLP: {dropout: {float: [0, 0.3]}}}]}",
        }
    )
    assert {path for path, _ in found} == {
        "model.choice[1].MLP.dropout",
        "training.batch_size.choice[1]",
        "training.accumulate.choice[1]",
    }


@pytest.mark.parametrize(
    ("section", "text", "path"),
    [
        ("model", "{MLP: {width: 0}}", "width"),
        ("model", "{MLP: {width: [8, 0]}}", "width"),
        ("model", "{MLP: {width: []}}", "width"),
        ("model", "{MLP: {depth: {int: [0, 3]}}}", "depth"),
        ("model", "{CNN: {channels: 0}}", "channels"),
        ("model", "{CNN: {kernel: 0}}", "kernel"),
        ("model", "{TextCNN: {channels: 0}}", "channels"),
        ("model", "{TextCNN: {embed_dropout: 1}}", "embed_dropout"),
        ("model", "{TextCNN: {kernel_sizes: []}}", "kernel_sizes"),
        ("model", "{TextCNN: {kernel_sizes: [3, 0]}}", "kernel_sizes[1]"),
        ("model", "{LSTM: {num_layers: 0}}", "num_layers"),
        ("model", "{CNN: {dropout: 1}}", "dropout"),
        ("optimizer", "{Adam: {betas: [0.9, 1]}}", "betas"),
        ("optimizer", "{Adam: {betas: [0.9, {float: [0.9, 1]}]}}", "betas"),
        ("optimizer", "{AdamW: {eps: -1}}", "eps"),
        ("optimizer", "{Muon: {rest: {AdamW: {lr: 0}}}}", "rest.AdamW.lr"),
        ("optimizer", "{Muon: {rest: {SGD: {nesterov: true}}}}", "rest.SGD.nesterov"),
    ],
)
def test_what_a_constructor_would_refuse(section: str, text: str, path: str) -> None:
    component = text[1:].partition(":")[0]
    data = TEXT if component in TEXT_MODELS else {}
    [(at, message)] = mistakes(data | {section: text})
    assert at.startswith(f"{section}.{component}.{path}")
    assert "must" in message or "requires" in message


@pytest.mark.parametrize("model", ["Linear", "CNN", "TextCNN", "EmbeddingBag"])
def test_muon_needs_hidden_matrices(model: str) -> None:
    data = TEXT if model in TEXT_MODELS else {}
    [(path, message)] = mistakes(data | {"model": model, "optimizer": "Muon"})
    assert (path, model in message) == ("optimizer", True)


def test_pairs_of_numbers_are_tried_at_both_ends_of_each() -> None:
    text = "{epochs: {int: [5, 50]}, eval_every: {int: [1, 10]}}"
    [(path, message)] = mistakes({"training": text})
    assert path == "training.eval_every"
    assert "eval_every is 10, but there are 5 epochs" in message
    sections = {
        "optimizer": "{SGD: {lr: {float: [1e-3, 1]}}}",
        "schedule": "{CyclicLR: {base_lr: {float: [1e-4, 1e-2]}}}",
    }
    [(path, message)] = mistakes(sections)
    assert path == "schedule.CyclicLR.base_lr"
    assert "base_lr must be below the highest rate, 0.001" in message


@pytest.mark.parametrize(
    ("sections", "path", "part"),
    [
        (
            TEXT | {"model": "MLP"},
            "model",
            "MLP takes no text, but data.text names columns. Use `Te",
        ),
        (TEXT | {"model": "CNN"}, "model", "CNN takes no text"),
        (TEXT | {"model": "{choice: [TextCNN, MLP]}"}, "model.choice[1]", "MLP takes no text"),
        (TABLE | {"model": "GRU"}, "model", "GRU takes text, but data.text names no column."),
        (TABLE | {"model": "{LSTM: {embed: 8}}"}, "model.LSTM", "Write data: {text: COLUMN}"),
    ],
)
def test_models_fit_the_rows_of_a_table(sections: dict[str, str], path: str, part: str) -> None:
    [(at, message)] = mistakes(sections)
    assert at == path
    assert part in message


@pytest.mark.parametrize("sections", [TEXT | {"model": "TextCNN"}, TABLE | {"model": "MLP"}])
def test_models_that_fit_the_rows_are_taken(sections: dict[str, str]) -> None:
    study(sections)


HEADS = "d_model must be a multiple of nhead, but got "


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        ("{d_model: 30}", "30 and 4"),
        ("{nhead: 3}", "128 and 3"),
        ("{d_model: {int: [64, 256]}}", "65 and 4"),
        ("{d_model: {int: [64, 256], log: true}}", "65 and 4"),
        ("{d_model: {int: [64, 256], step: 64}, nhead: {choice: [4, 12]}}", "128 and 12"),
        ("{d_model: 60, nhead: {int: [2, 4]}}", ""),
        ("{d_model: 64, nhead: {int: [2, 4]}}", "64 and 3"),
        ("{d_model: {int: [64, 256], step: 32}, nhead: {choice: [4, 8]}}", ""),
    ],
)
def test_heads_divide_the_vector_of_a_token(arguments: str, got: str) -> None:
    sections = TEXT | {"model": f"{{TransformerEncoder: {arguments}}}"}
    if not got:
        study(sections)
        return
    path, message = mistakes(sections)[0]
    assert path.startswith("model.TransformerEncoder")
    assert message.startswith(HEADS + got)


def test_a_variant_keeps_them_apart() -> None:
    kept_apart = {
        "variant": "{choice: {lbfgs: {optimizer: LBFGS, training: {batch_size: full}}, sgd: {}}}",
        "training": "{batch_size: {choice: [16, 32]}}",
    }
    assert len(study(kept_apart).parameters) == 2


def test_rules_are_told_beside_other_mistakes() -> None:
    found = mistakes(
        {"optimizer": "LBFGS", "training": "{batch_size: 32, epochs: x}", "metrics": "[f2]"}
    )
    assert [path for path, _ in found] == [
        "training.epochs",
        "training.batch_size",
        "metrics[0]",
    ] or ({path for path, _ in found} == {"training.epochs", "training.batch_size", "metrics[0]"})


def test_a_part_that_is_wrong_by_itself_breaks_no_rule() -> None:
    found = mistakes({"optimizer": "LBFGS", "training": "{batch_size: ful}"})
    assert [path for path, _ in found] == ["training.batch_size"]
    assert "whole number" in found[0][1]


@pytest.mark.parametrize("sampler", ["Grid", "BruteForce"])
def test_samplers_that_visit_every_point_need_an_end(sampler: str) -> None:
    search = {"search": f"{{sampler: {sampler}}}"}
    stepped = {"optimizer": "{SGD: {lr: {float: [0.1, 0.5], step: 0.1}}}"}
    endless = {"optimizer": "{SGD: {lr: {float: [0.1, 0.5]}}}"}
    assert study(search | stepped).search.sampler.name == f"{sampler}Sampler"
    assert "optimizer.SGD.lr is a continuous range" in mistakes(search | endless)[0][1]


def test_grid_takes_no_branches() -> None:
    branches = {"model": "{choice: {MLP: {depth: {int: [1, 3]}}, CNN: {}}}"}
    assert study(branches | {"search": "{sampler: BruteForce}"}).search.trials == 50
    ((path, message),) = mistakes(branches | {"search": "{sampler: Grid}"})
    assert path == "search.sampler"
    assert "model.MLP.depth depends on model" in message
