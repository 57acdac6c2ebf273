"""Published configurations as first trials: which ones fit a study, and what they set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.read_start_with import TUNED
from tunecli.study_file.settings.settings import Component, Task
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.starter import FirstLook, starter
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
    return {one.default.model.name: dict(one.point) for one in tuned_starts(study, n_rows)}


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
    plain = "model: {choice: {MLP: {width: {int: [64, 1024]}}, RealMLP: {}}}\n"
    assert "MLP" not in _starts(_study(plain + REST))
    embeddings = "num_embeddings: {choice: [none, piecewise_linear]}"
    searched = f"model: {{MLP: {{{embeddings}, width: {{int: [8, 900]}}}}}}\n"
    found = _starts(_study(searched + REST))["MLP"]
    assert found["model.MLP.num_embeddings"] == "piecewise_linear"


def test_tabm_with_and_without_embeddings_are_two_starts() -> None:
    text = "model: {TabM: {num_embeddings: {choice: [none, piecewise_linear]}}}\n" + REST
    points = [start.point for start in tuned_starts(_study(text), 1000)]
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


@pytest.mark.parametrize(
    ("model", "name", "written", "good"),
    [
        ("{TabM: {num_embeddings: periodic}}", "TabM", "periodic", "piecewise_linear or none"),
        ("MLP", "MLP", "none", "piecewise_linear"),
        (
            "{MLP: {num_embeddings: {choice: [none, periodic]}}}",
            *("MLP", "none or periodic", "piecewise_linear"),
        ),
    ],
)
def test_a_study_whose_models_cannot_take_them_is_refused_at_reading(
    model: str, name: str, written: str, good: str
) -> None:
    message = (
        f"tuned has no defaults for {name} with num_embeddings: {written}. "
        f"Write num_embeddings: {good}, or list configurations instead."
    )
    with pytest.raises(StudyFileError) as caught:
        StudyFile.from_text(f"{REST}model: {model}\n", "a.yaml")
    assert message in str(caught.value)


def test_an_argument_that_is_not_written_has_its_default() -> None:
    [start] = tuned_starts(_study("model: {TabM: {d_block: {int: [64, 512]}}}\n" + REST), 1000)
    assert start.point["model.TabM.d_block"] == 512
    assert start.left_out == ("clip_norm 1.0",)  # and n_blocks follows from num_embeddings


def test_what_is_not_applied_is_named() -> None:
    text = f"""\
data: {{source: t.csv, target: y}}
model: {{TabM: {{d_block: {{int: [64, 256]}}, n_bins: 48, {EMBEDDED}}}}}
optimizer: {{choice: {{SGD: {{lr: {{float: [1e-4, 1e-2]}}}}}}}}
schedule: CosineAnnealingLR
training: {{batch_size: {{choice: [64, 256]}}}}
search: {{start_with: tuned}}
"""
    [start] = tuned_starts(_study(text), 1000)
    assert start.point == {"training.batch_size": 256}
    assert set(start.left_out) == {
        *("scale quantile", "arch mini", "d_block 512"),
        *("optimizer AdamW", "schedule none", "clip_norm 1.0"),
    }


def test_settings_without_a_published_value_are_left_to_the_sampler() -> None:
    searched = "training: {epochs: {int: [5, 20]}, l1: {float: [1e-8, 1e-4], or: 0}, batch_size: "
    text = REST.replace("training: {batch_size: ", searched)
    for point in _starts(_study(MODELS + text)).values():
        assert point["training.batch_size"] == 256
        names = {"training.l1", "training.l1.or"} & point.keys()
        assert not names
    assert "training.epochs" not in _starts(_study(MODELS + text))["TabM"]


def test_of_two_variants_the_one_with_the_needed_argument_starts() -> None:
    text = REST.replace("training: {batch_size: {choice: [256, 512, 1024]}}\n", "") + (
        "model: MLP\nvariant:\n  choice:\n"
        "    a: {model: {TabM: {arch: mini, k: 32, num_embeddings: periodic}}}\n"
        f"    b: {{model: {{TabM: {{k: 2, {EMBEDDED}}}}}}}\n"
    )
    [start] = tuned_starts(_study(text), 1000)
    assert start.point["variant"] == "b"


@pytest.mark.parametrize("n_rows", [300, 2000, 29_999, 30_000, 40_000, 300_000])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_first_study_takes_every_published_value_but_the_number_of_members(
    n_rows: int, task: Task
) -> None:
    look = FirstLook("t.csv", task, n_rows, (9,), n_classes=3 if task == "classification" else 0)
    study = StudyFile.from_text(starter(replace(look, target="y"), "f.yaml"), "f.yaml")
    for n_search in (n_rows, n_rows * 4 // 5):
        starts = [*tuned_starts(study.completed(task, n_rows), n_search)]
        left_out = {start.default.model.name: start.left_out for start in starts}
        assert left_out == {"TabM": ("k 32",), "MLP": ()}
        for start in starts:  # all others are fixed as published, or tried
            config = study.completed(task, n_rows).resolve(
                lambda name, range_, point=start.point: point.get(name, first_value(range_))
            )
            published = dict(start.default.values) | {("model", "k"): 16}
            for (section, name), value in published.items():
                part = getattr(config, section)
                if isinstance(part, Component):
                    assert value == (
                        part.name if name == section else part.arguments.get(name, value)
                    )
                elif part is not None:
                    found = getattr(part, name)
                    assert value == (found.name if isinstance(found, Component) else found)
