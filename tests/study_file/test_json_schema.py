from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from locations import STUDIES

from tunecli.errors import StudyFileError
from tunecli.study_file.catalogue import names
from tunecli.study_file.json_schema import json_schema
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import (
    TrainingSettings,
)
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Document

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
BASE = "data: digits\nmodel: MLP\noptimizer: SGD\n"


def mistakes(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(Document.parse(text, "f").data)]


def with_part(part: str) -> str:
    """The base study with sections, each on a line, added or replaced."""
    keys = tuple(line.partition(":")[0] + ":" for line in part.splitlines())
    kept = [line for line in BASE.splitlines() if not line.startswith(keys)]
    return "\n".join([*kept, part])


def test_it_is_a_json_schema_of_plain_data() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*(references(value) for value in part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    assert {f"#/$defs/{name}" for name in SCHEMA["$defs"]} >= references(SCHEMA)


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_studies_validate(file: Path) -> None:
    assert mistakes(file.read_text(encoding="utf-8")) == []


LORA = "{LoraConfig: {r: {int: [4, 64], log: true}, lora_alpha: 16, target_modules: all-linear}}"
LAYERS = "{int: [2, 6]}"
TEXT = "data: {source: t.csv, target: y, text: t}\n"
GOOD = [
    f"{TEXT}model: {{AutoModelForSequenceClassification: {{pretrained: a/b, adapter: {LORA}}}}}",
    f"{TEXT}model: {{AutoModelForSequenceClassification: {{config: gpt2, n_layer: {LAYERS}}}}}",
    "study: mine",
    "seed: 3",
    "data: {source: iris, test: 0, scale: none}",
    "data: {source: iris, scale: {choice: [standard, quantile, none]}}",
    "data: {source: iris, scale: {quantile: {n_quantiles: {int: [10, 100]}}}}",
    "validation: {folds: 3, repeats: 2}",
    "validation: {holdout: 0.2}",
    "validation:",
    "model: resnet18",
    "model: {resnet18: {zero_init_residual: {choice: [true, false]}}}",
    "model: {MLP: {width: [{int: [8, 64]}, 32], activation: {choice: [ReLU, GELU]}}}",
    "model: {MLP: }",
    "loss: {CrossEntropyLoss: {weight: {choice: [balanced, null]}}}",
    "loss: {CrossEntropyLoss: {weight: [1, 2.5]}}",
    "optimizer: {SGD: {lr: 1, momentum: {float: [0.5, 0.9], step: 0.1}}}",
    "optimizer: {SGD: {lr: {int: [1, 3]}}}",
    "optimizer: {Adam: {betas: [{float: [0.8, 0.9]}, 0.999]}}",
    "optimizer: {Muon: {lr: 0.02, rest: {AdamW: {lr: {float: [1e-4, 1e-2], log: true}}}}}",
    "optimizer: {choice: [SGD, {AdamW: {lr: 1e-3}}]}",
    "optimizer: {choice: {SGD: {lr: 0.1}, plain: {SGD: {lr: 1}}, other: Adam}}",
    "schedule: none",
    "schedule: {choice: [none, CosineAnnealingLR, {StepLR: {step_size: 3}}]}",
    "training: {batch_size: full, epochs: {int: [5, 10]}}",
    "training: {batch_size: {choice: [32, full]}, l1: {float: [1e-8, 1e-4], log: true, or: 0}}",
    "training: {early_stopping: {patience: {int: [2, 5]}}, clip_norm: none}",
    "training: {early_stopping: {choice: [none, {patience: 3}]}, max_time: 1h30m}",
    "objective: {minimize: log_loss}",
    "objective: {maximize: accuracy, tolerance: 0.002}",
    "objective: {maximize: {f1: {average: micro}}}",
    "metrics: [accuracy, {f1: {average: weighted}}]",
    "constraints: {f1: {average: macro, min: 0.5}, size: {max: 200KB}, recall: {min: 0.1}}",
    "constraints: {my_metrics.py:cost: {price: 2.5, max: 3}}",
    "constraints: none",
    "search: {trials: 10, timeout: 2h, sampler: CMA-ES, pruner: none}",
    "search: {timeout: 90, sampler: {TPE: {n_startup_trials: 5}}, pruner: MedianPruner}",
    "search: {pruner: {Patient: {wrapped_pruner: Median, patience: 3}}}",
    "optimizer: {SGD: {lr: {float: [0.1, 2]}}}\n"
    "search: {start_with: [{optimizer: {SGD: {lr: 1}}}]}",
    "loss: {CrossEntropyLoss: {weight: none}}",
    "search: {start_with: {study: first, best: 5}}",
    "search: {start_with: {study: first, repeat: false}}",
    "variant: {choice: {full: {optimizer: LBFGS, training: {batch_size: full}}, other: none}}",
    "variant: {choice: {raw: {data: {scale: none}}}}",
]

BAD = [
    "model: {AutoModelForCausalLM: {config: gpt2, adapter: {LoraConfig: {rank: 4}}}}",
    "model: {AutoModelForCausalLM: {config: gpt2, adapter: AdaLoraConfig}}",
    "model: {AutoModelForSequenceClassification: {pretrained: a/b, pooling: max}}",
    "study: 3",
    "seed: -1",
    "seed: {int: [0, 3]}",
    "data: mnist",
    "data: {test: 0.2}",
    "data: {source: iris, test: 1.5}",
    "data: {source: iris, test: {float: [0.1, 0.2]}}",
    "data: {source: iris, scale: maxabs}",
    "validation: {folds: 1}",
    "validation: {fold: 3}",
    "model: MPL",
    "model: {MLP: {widht: 3}}",
    "model: {MLP: {width: wide}}",
    "model: {MLP: {activation: relu}}",
    "model: {MLP: {}, CNN: {}}",
    "model: {resnet18: {weights: true}}",
    "model: {resnet18: {freeze: all}}",
    "loss: {HuberLoss: {reduction: sum}}",
    "optimizer: sgd",
    "optimizer: SparseAdam",
    "optimizer: {SGD: {lr: true}}",
    "optimizer: {SGD: {lr: {float: [0.1]}}}",
    "optimizer: {SGD: {lr: {flaot: [0.1, 1]}}}",
    "optimizer: {SGD: {lr: {float: [0.1, 1], base: 10}}}",
    "optimizer: {SGD: {maximize: true}}",
    "optimizer: {Adam: {betas: [0.9]}}",
    "optimizer: {choice: []}",
    "schedule: LambdaLR",
    "schedule: {StepLR: }",
    "schedule: {ReduceLROnPlateau: {mode: mix}}",
    "training: {epochs: 0}",
    "training: {epochs: {float: [1, 3]}}",
    "training: {batchsize: 3}",
    "training: {batch_size: half}",
    "training: {batch_size: {choice: [32, half]}}",
    "training: {dtype: float32}",
    "training: {early_stopping: {}}",
    "objective: {maximize: rmse}",
    "constraints: {f1: {average: mean, min: 0.5}}",
    "constraints: {f1: {average: macro}}",
    "constraints: {size: {average: macro, max: 5}}",
    "constraints: {size: {max: [3]}}",
    "objective: {maximise: accuracy}",
    "objective: {maximize: accuracy, tolerance: -1}",
    "objective: {maximize: accuracy, minimize: log_loss}",
    "metrics: [acuracy]",
    "search: {trials: many}",
    "search: {timeout: soon}",
    "training: {max_time: {choice: [1h, 2h]}}",
    "search: {sampler: {choice: [TPE, Random]}}",
    "search: {sampler: {TPE: {seed: 3}}}",
    "search: {pruner: Wilcoxon}",
    "search: {pruner: {Percentile: {}}}",
    "variant: {choice: {one: {seed: 3}}}",
    "variant: {one: {model: MLP}}",
    "trainig: {epochs: 3}",
]


@pytest.mark.parametrize("part", GOOD)
def test_what_is_right_validates(part: str) -> None:
    assert mistakes(with_part(part)) == []
    assert StudyFile.from_text(with_part(part), "f.yaml").text == with_part(part)


@pytest.mark.parametrize("part", BAD)
def test_what_is_wrong_does_not(part: str) -> None:
    assert mistakes(with_part(part))
    with pytest.raises(StudyFileError, match=r"f\.yaml:\d+:\d+: "):
        StudyFile.from_text(with_part(part), "f.yaml")


@pytest.mark.parametrize("missing", ["data", "model", "optimizer"])
def test_what_a_study_needs_is_required(missing: str) -> None:
    text = "\n".join(line for line in BASE.splitlines() if not line.startswith(missing))
    assert mistakes(text) == [f"'{missing}' is a required property"]


@pytest.mark.parametrize("kind", ["model", "loss", "optimizer", "schedule"])
def test_every_offered_name_validates(kind: names.Kind) -> None:
    for name in names.names(kind):
        assert mistakes(with_part(f"{kind}: {name}")) == []


def test_settings_carry_their_descriptions() -> None:
    training = SCHEMA["$defs"]["training"]["properties"]
    assert set(training) == set(TrainingSettings.model_fields)
    assert training["clip_norm"]["description"].startswith("largest norm of the gradient")
    assert training["batch_size"]["default"] == 32
    for settings in (TrainingSettings, SearchSettings):
        assert list(settings.descriptions()) == list(settings.model_fields)
