"""Published configurations as first trials: which ones fit a study, and what they set."""

from __future__ import annotations

from typing import Any

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.read_start_with import TUNED
from tunecli.study_file.settings.settings import Component, Task
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.study_file.tuned_defaults import tuned_defaults, tuned_starts

EMBEDDED = "num_embeddings: piecewise_linear"
MODELS = f"""\
model:
  choice:
    MLP: {{width: {{int: [64, 1024], step: 16}}, depth: {{int: [1, 5]}}, {EMBEDDED},
      dropout: {{float: [0, 0.5], or: 0}}}}
    TabM: {{d_block: {{int: [64, 256], step: 16}}, n_blocks: {{int: [1, 4]}}, {EMBEDDED}}}
    RealMLP: {{width: {{int: [64, 512]}}}}
"""
REST = """\
data: {source: t.csv, target: y, scale: {choice: [standard, quantile, smooth_clip]}}
optimizer:
  AdamW:
    lr: {float: [3e-5, 0.3], log: true}
    weight_decay: {float: [1e-4, 0.1], log: true, or: 0}
schedule: {choice: [none, CosLogLR]}
training: {batch_size: {choice: [256, 512, 1024]}}
search: {start_with: tuned}
"""


def _study(text: str = MODELS + REST, task: Task = "classification") -> Study:
    return StudyFile.from_text(text, "a.yaml").completed(task, 1000)


def _starts(study: Study, n_rows: int = 1000) -> dict[str, dict[str, Any]]:
    return {default.model.name: dict(point) for default, point in tuned_starts(study, n_rows)}


def test_each_model_of_the_study_starts_with_its_own_configuration() -> None:
    study = _study()
    assert study.start_from == TUNED
    assert _starts(study) == {
        "TabM": {  # its d_block of 512 is out of range
            "data.scale": "quantile",
            "model": "TabM",
            "model.TabM.n_blocks": 2,
            "optimizer.AdamW.lr": 0.002,
            "optimizer.AdamW.weight_decay": 0.0003,
            "optimizer.AdamW.weight_decay.or": False,
            "schedule": "none",
            "training.batch_size": 256,
        },
        "MLP": {
            "data.scale": "quantile",
            "model": "MLP",
            "model.MLP.width": 736,
            "model.MLP.depth": 2,
            "model.MLP.dropout": 0.3,
            "model.MLP.dropout.or": False,
            "optimizer.AdamW.lr": 0.00036,
            "optimizer.AdamW.weight_decay": 0.00065,
            "optimizer.AdamW.weight_decay.or": False,
            "schedule": "none",
            "training.batch_size": 256,
        },
        "RealMLP": {
            "data.scale": "smooth_clip",
            "model": "RealMLP",
            "model.RealMLP.width": 256,
            "optimizer.AdamW.lr": 0.04,
            "optimizer.AdamW.weight_decay": 0.02,
            "optimizer.AdamW.weight_decay.or": False,
            "schedule": "CosLogLR",
            "training.batch_size": 256,
        },
    }


def test_task_and_size_decide() -> None:
    study = _study(task="regression")
    assert _starts(study)["RealMLP"]["optimizer.AdamW.lr"] == 0.2
    sizes = [_starts(study, n)["MLP"]["training.batch_size"] for n in (29_999, 30_000, 200_000)]
    assert sizes == [256, 512, 1024]


def test_an_mlp_without_embeddings_has_no_published_configuration() -> None:
    plain = "model: {MLP: {width: {int: [64, 1024]}}}\n"
    assert _starts(_study(plain + REST)) == {}
    embeddings = "num_embeddings: {choice: [none, piecewise_linear]}"
    searched = f"model: {{MLP: {{{embeddings}, width: {{int: [8, 900]}}}}}}\n"
    found = _starts(_study(searched + REST))["MLP"]
    assert found["model.MLP.num_embeddings"] == "piecewise_linear"


def test_tabm_with_and_without_embeddings_are_two_starts() -> None:
    text = "model: {TabM: {num_embeddings: {choice: [none, piecewise_linear]}}}\n" + REST
    points = [point for _, point in tuned_starts(_study(text), 1000)]
    assert [p["model.TabM.num_embeddings"] for p in points] == ["piecewise_linear", None]


def test_a_variant_is_chosen_with_its_model() -> None:
    text = REST.replace("training: {batch_size: {choice: [256, 512, 1024]}}\n", "") + (
        "variant:\n  choice:\n    a: {model: Linear}\n"
        "    b: {model: {RealMLP: {width: {int: [8, 512]}}}}\n"
    )
    assert _starts(_study(text))["RealMLP"]["variant"] == "b"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_published_configuration_is_one_that_a_study_file_can_contain(task: Task) -> None:
    for default in tuned_defaults(task, 1000):
        data = {
            "data": {"source": "t.csv", "target": "y", "scale": default.scale},
            **{
                name: {component.name: component.arguments}
                for name in ("model", "optimizer", "schedule", "loss")
                if (component := getattr(default, name)) is not None
            },
            "training": dict(default.training),
        }
        StudyFile.from_text(str(data).replace("None", "null").replace("True", "true"), "a.yaml")
        assert isinstance(default.model, Component)
        assert "arXiv:" in default.source


def test_a_study_without_such_models_is_refused() -> None:
    text = REST + "model: {ResNet: {width: {int: [8, 64]}}}\n"
    with pytest.raises(
        StudyFileError, match="tuned has defaults only for `MLP`, `TabM` and `RealMLP`"
    ):
        StudyFile.from_text(text, "a.yaml")
