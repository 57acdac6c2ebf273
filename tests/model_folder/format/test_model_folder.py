"""A model folder: what is written is read again to the same bits, and nothing of it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from locations import TESTS
from model_cases import STUDIES, Case, case
from PIL import Image
from safetensors.torch import load_file, save, save_file

import tunecli
from tunecli.data.rows.decoding import Depth
from tunecli.errors import DataError, ModelFolderError, TunecliError, UserCodeError
from tunecli.model_folder.find import model_at
from tunecli.model_folder.format.folder import (
    FACTS,
    PREPROCESSING,
    WEIGHTS,
    read_folder,
    write_model,
)
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.format.predicting import write_predictions
from tunecli.numerics import NUMERICS


def written(found: Case, folder: Path) -> Path:
    write_model(folder, found.refitted.model, {"README.md": "A model."})
    return folder


def loaded(found: Case, folder: Path) -> Model:
    return load_with(written(found, folder), found.workspace)


def test_load_is_there_when_it_is_asked_for() -> None:
    from tunecli.model_folder.format.loading import load

    assert tunecli.load is load
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        tunecli.lod  # noqa: B018


@pytest.mark.parametrize("name", STUDIES)
def test_a_stored_model_predicts_the_bits_of_the_refit(name: str, tmp_path: Path) -> None:
    found = case(name)
    model = loaded(found, tmp_path / "model")
    rows = found.store.dataset.x[found.store.split.test_rows]
    assert isinstance(rows, torch.Tensor)
    expected = found.refitted.predictions
    assert expected is not None
    np.testing.assert_array_equal(model.of_rows(rows), expected)


def test_a_model_has_the_arithmetic_of_its_trial_and_leaves_that_of_the_caller(
    tmp_path: Path,
) -> None:
    found = case("digits")
    folder = written(found, tmp_path / "model")
    assert load_with(folder, found.workspace).facts.config.numerics == NUMERICS
    rows = found.store.dataset.x[found.store.split.test_rows]
    assert isinstance(rows, torch.Tensor)
    outputs = {}
    for version in (2, 3):
        facts = json.loads((folder / FACTS).read_text())
        facts["config"]["numerics"] = version
        if version == 2:  # models of then do not store it
            del facts["config"]["numerics"]
        (folder / FACTS).write_text(json.dumps(facts))
        model = load_with(folder, found.workspace)
        with torch.no_grad():
            for weight in model.members[0].network.parameters():
                weight.mul_(5)  # so that it is very sure
        outputs[version] = model.of_rows(rows)
    tiny = np.finfo(np.float32).tiny
    are_denormal = (outputs[2] > 0) & (outputs[2] < tiny)
    assert are_denormal.any()
    np.testing.assert_array_equal(outputs[3], np.where(are_denormal, 0, outputs[2]))


@pytest.mark.parametrize("name", ["table", "embedded", "quantile", "counts", "own"])
def test_a_file_of_the_test_rows_is_predicted_to_the_bits_of_the_refit(
    name: str, tmp_path: Path
) -> None:
    found = case(name)
    lines = (found.folder / "table.csv").read_text().splitlines()
    kept = [lines[0], *(lines[1 + row] for row in found.store.split.test_rows.tolist())]
    (tmp_path / "test.csv").write_text("\n".join(kept))
    model = loaded(found, tmp_path / "model")
    np.testing.assert_array_equal(model.outputs(tmp_path / "test.csv"), found.refitted.predictions)
    frame = pd.read_csv(tmp_path / "test.csv", na_values=["?"])
    np.testing.assert_array_equal(model.outputs(frame), found.refitted.predictions)
    frame.to_parquet(tmp_path / "test.parquet")
    np.testing.assert_array_equal(
        model.outputs(tmp_path / "test.parquet"), found.refitted.predictions
    )


def test_columns_called_by_numbers_are_taken_by_position_or_by_name(tmp_path: Path) -> None:
    found = case("offset")
    model = loaded(found, tmp_path / "model")
    x = pd.read_csv(found.folder / "offset.csv").drop(columns="y")
    x = x.iloc[found.store.split.test_rows.numpy()]
    expected = found.refitted.predictions
    ints = x.set_axis([2, 0, 1], axis=1)
    wider = x[["0", "1", "2"]].assign(**{"3": 5.0}).set_axis(pd.RangeIndex(4), axis=1)
    for given in (x, x.to_numpy(), x[["0", "1", "2"]], ints, ints[[0, 1, 2]], wider):
        np.testing.assert_array_equal(model.predict(given), expected)
    with pytest.raises(DataError, match="without names, but the model expects `2`,"):
        model.predict(pd.DataFrame(x.to_numpy()))
    with pytest.raises(DataError, match="the array has rows of shape 4, but the model takes 3"):
        model.predict(wider.to_numpy())


def test_a_frame_without_names_is_taken_by_position(tmp_path: Path) -> None:
    found = case("arrays")
    model = loaded(found, tmp_path / "model")
    x = np.load(found.folder / "arrays.npz")["x"][found.store.split.test_rows.numpy()]
    np.testing.assert_array_equal(model.outputs(pd.DataFrame(x)), found.refitted.predictions)
    with pytest.raises(DataError, match=r"lacks the columns `x\[0\]`"):
        model.predict(pd.DataFrame(x, columns=list("abcde")))


def test_a_model_of_whole_numbers_takes_no_others(tmp_path: Path) -> None:
    found = case("tokens")
    model = loaded(found, tmp_path / "model")
    assert model.facts.row_dtype == "int64"
    x = np.load(found.folder / "tokens.npz")["x"][found.store.split.test_rows.numpy()]
    for given in (x, x.astype(np.float64), x.astype(np.uint8), pd.DataFrame(x)):
        np.testing.assert_array_equal(model.outputs(given), found.refitted.predictions)
    for wrong in (0.5, np.nan):
        other = x.astype(np.float64)
        other[3, 1] = wrong
        with pytest.raises(DataError, match=r"row 3 .* is not a whole number"):
            model.predict(other)


def test_arrays_are_predicted_with_all_their_columns(tmp_path: Path) -> None:
    found = case("arrays")
    model = loaded(found, tmp_path / "model")
    x = np.load(found.folder / "arrays.npz")["x"]
    test = x[found.store.split.test_rows.numpy()]
    for given in (test, torch.from_numpy(test)):
        np.testing.assert_array_equal(model.outputs(given), found.refitted.predictions)
    np.save(tmp_path / "new.npy", test)
    np.testing.assert_array_equal(model.outputs(tmp_path / "new.npy"), found.refitted.predictions)
    assert set(model.predict(test)) <= {"0", "1"}
    assert model.predict_proba(test).shape == (len(test), 2)


@pytest.mark.parametrize("name", ["pictures", "deep"])
def test_pictures_are_predicted_from_their_folder(tmp_path: Path, name: str) -> None:
    found = case(name)
    model = loaded(found, tmp_path / "model")
    classes = found.store.dataset.classes
    files = sorted((found.folder / name).rglob("*.png"), key=lambda p: (p.parent.name, p.name))
    for row in found.store.split.test_rows.tolist():
        target = tmp_path / "test" / files[row].parent.name / files[row].name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[row], target)
    np.testing.assert_array_equal(model.outputs(tmp_path / "test"), found.refitted.predictions)
    write_predictions(model, str(tmp_path / "test"), tmp_path / "out.csv", proba=True)
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["file", "prediction", *(f"probability_{c}" for c in classes)]
    assert table["file"][0].startswith("dark/")


def test_new_pictures_become_levels_by_the_rule_of_those_trained_on(tmp_path: Path) -> None:
    model = loaded(case("deep"), tmp_path / "model")
    assert model.facts.depth == Depth("whole", 0.0, 4096.0)
    levels = np.arange(14 * 16).reshape(14, 16)
    for name, pixels in {
        "whole": (levels * 16 + 7).astype(np.uint16),
        "bytes": levels.astype(np.uint8),
        "bright": (levels * 257).astype(np.uint16),
    }.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    expected = model.outputs(levels.astype(np.uint8)[None, None])
    for name in ("whole", "bytes"):
        np.testing.assert_array_equal(model.outputs(tmp_path / f"{name}.png"), expected)
    with pytest.raises(
        DataError, match=r"bright.png cannot be read: it holds values from 0 to 57"
    ):
        model.outputs(tmp_path / "bright.png")


def test_a_model_of_the_version_before_takes_the_upper_byte_of_16_bits(tmp_path: Path) -> None:
    folder = written(case("deep"), tmp_path / "model")
    facts = json.loads((folder / FACTS).read_text())
    del facts["depth"]
    (folder / FACTS).write_text(json.dumps(facts))
    model = load_with(folder, case("deep").workspace)
    levels = np.arange(14 * 16).reshape(14, 16)
    Image.fromarray((levels * 256 + 9).astype(np.uint16)).save(tmp_path / "new.png")
    expected = model.outputs(levels.astype(np.uint8)[None, None])
    np.testing.assert_array_equal(model.outputs(tmp_path / "new.png"), expected)


@pytest.mark.parametrize("depth", [{"kind": "whole", "low": 1.0, "high": 1.0}, {"kind": "other"}])
def test_a_rule_that_computes_nothing_is_refused(tmp_path: Path, depth: Any) -> None:
    folder = written(case("deep"), tmp_path / "model")
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps({**facts, "depth": depth}))
    with pytest.raises(ModelFolderError, match="depth"):
        load_with(folder, case("deep").workspace)


def test_a_named_set_is_predicted_whole(tmp_path: Path) -> None:
    found = case("digits")
    model = loaded(found, tmp_path / "model")
    expected = model.of_rows(found.store.dataset.x)  # type: ignore[arg-type]
    np.testing.assert_array_equal(model.outputs("digits"), expected)


def test_rows_in_blocks_give_the_bits_of_rows_at_once(tmp_path: Path) -> None:
    found = case("table")
    model = loaded(found, tmp_path / "model")
    frame = pd.concat([pd.read_csv(found.folder / "table.csv")] * 40, ignore_index=True)
    frame.to_csv(tmp_path / "large.csv", index=False)
    whole = model.outputs(tmp_path / "large.csv")
    assert len(whole) > 4 * model.batch_rows
    kind = model.row_kind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunecli.data.new_rows.BLOCK_BYTES", 1)
        assert kind.block_rows(model.batch_rows) == model.batch_rows
        np.testing.assert_array_equal(model.outputs(tmp_path / "large.csv"), whole)


def test_what_was_not_there_to_train_on(tmp_path: Path) -> None:
    found = case("table")
    model = loaded(found, tmp_path / "model")
    row = {"size": 50.0, "holes": 1.0, "kind": "a", "flag": True, "price": 90.0, "n": 3}
    frame = pd.DataFrame([row, row | {"kind": "new"}, row | {"kind": None}, row | {"holes": None}])
    proba = model.predict_proba(frame)
    assert np.isfinite(proba).all()
    assert (proba[0] != proba[1]).any()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)


def test_mistakes_of_new_tables_are_told(tmp_path: Path) -> None:
    model = loaded(case("table"), tmp_path / "model")
    good = pd.read_csv(case("table").folder / "table.csv", na_values=["?"])
    with pytest.raises(DataError, match=r"lacks the column `size`. Did you mean `Size`"):
        model.predict(good.rename(columns={"size": "Size"}))
    good["size"] = good["size"].astype(object)
    good.loc[16, "size"] = "tall"
    with pytest.raises(DataError, match="'size' must have numbers, but row 17 of the table has"):
        model.predict(good)
    with pytest.raises(DataError, match=r"file 'new.csv' does not exist"):
        model.predict("new.csv")
    with pytest.raises(DataError, match="no column names"):
        model.predict(np.zeros((2, 6)))
    with pytest.raises(DataError, match="has 2 features"):
        loaded(case("arrays"), tmp_path / "other").predict(np.zeros((2, 2)))
    with pytest.raises(DataError, match="to predict: a sparse tensor is not a plain array"):
        loaded(case("arrays"), tmp_path / "third").predict(torch.zeros(2, 3).to_sparse())
    with pytest.raises(DataError, match="Use predict"):
        loaded(case("quantile"), tmp_path / "values").predict_proba(good)


def test_nothing_is_written_for_a_table_without_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = loaded(case("table"), tmp_path / "model")
    header = (case("table").folder / "table.csv").read_text().splitlines()[0]
    (tmp_path / "empty.csv").write_text(header + "\n")
    for output in (None, tmp_path / "out.csv", tmp_path / "out.parquet"):
        with pytest.raises(DataError, match=r"^empty.csv has a header but no rows\.$"):
            write_predictions(model, str(tmp_path / "empty.csv"), output, proba=False)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.glob("out.*"))
    assert not list(tmp_path.glob(".out.*"))


# Hostile and damaged folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(case("table"), tmp_path / "model")


def edit(folder: Path, change: object) -> None:
    facts = json.loads((folder / FACTS).read_text())
    change(facts)  # type: ignore[operator]
    (folder / FACTS).write_text(json.dumps(facts))


def test_no_folder_and_a_foreign_one(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelFolderError, match=r"is not a model folder.*tunecli refit"):
            tunecli.load(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\x80\x04c__main__", b"{" * 10_000])
def test_facts_that_are_none(folder: Path, content: bytes) -> None:
    (folder / FACTS).write_bytes(content)
    with pytest.raises(ModelFolderError, match="is damaged or not a tunecli model"):
        tunecli.load(folder)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("table", "OfTable"),
        ("pictures", "OfBytes"),
        ("digits", "OfNumbers"),
        ("tokens", "OfIntegers"),
    ],
)
def test_kinds_of_preprocessing_as_the_first_versions_called_them(
    name: str, first: str, tmp_path: Path
) -> None:
    found = case(name)
    folder = written(found, tmp_path / "model")
    edit(folder, lambda facts: facts["members"][0].update(preprocessing=first))
    model = load_with(folder, found.workspace)
    assert model.members[0].facts == found.refitted.model.members[0].facts
    assert model.members[0].preprocessing.kind == model.members[0].facts.preprocessing


@pytest.mark.parametrize("name", [WEIGHTS, PREPROCESSING])
def test_arrays_that_are_missing_or_changed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFolderError, match=f"checksum of {name} is wrong"):
        tunecli.load(folder)
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name} is missing"):
        tunecli.load(folder)


@pytest.mark.parametrize("name", [WEIGHTS, PREPROCESSING])
def test_a_file_larger_than_memory_is_not_hashed(folder: Path, name: str) -> None:
    os.truncate(folder / name, 2**42)  # a hole, which takes no disk
    with pytest.raises(ModelFolderError, match=rf"{name} has 4,398,.* do not fit into memory"):
        tunecli.load(folder)


def with_arrays(folder: Path, name: str, content: bytes) -> None:
    import hashlib

    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(folder, lambda facts: facts["files"].update({name: digest}))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch was_run",)


def test_a_pickle_in_the_place_of_arrays_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    monkeypatch.chdir(tmp_path)
    for name in (WEIGHTS, PREPROCESSING):
        with_arrays(folder, name, pickle.dumps(Evil()))
        with pytest.raises(ModelFolderError, match=r"is damaged or not a tunecli.*safetensors"):
            tunecli.load(folder)
    assert not (tmp_path / "was_run").exists()


def test_code_in_the_facts_is_not_imported(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("import os\nos.system('touch was_run')\nNet = None\n")
    edit(folder, lambda facts: facts["config"]["model"].update(name="evil.py:Net", arguments={}))
    with pytest.raises(UserCodeError, match=r"evil.py:Net, which is user code\. Allow it"):
        tunecli.load(folder, folder=tmp_path)
    assert not (tmp_path / "was_run").exists()


def test_a_network_is_not_built_from_code_that_has_changed(tmp_path: Path) -> None:
    found = case("own")
    folder = written(found, tmp_path / "model")
    code = tmp_path / "net.py"
    shutil.copy(found.folder / "net.py", code)
    model = tunecli.load(folder, [str(code)], folder=tmp_path)
    assert model.facts.code.keys() == {"net.py"}
    code.write_text(code.read_text() + "raise SystemExit\n")
    with pytest.raises(UserCodeError, match=r"net.py, or code that it imports, has changed since"):
        tunecli.load(folder, [str(code)], folder=tmp_path)
    edit(folder, lambda facts: facts.pop("code"))  # a model of a version that kept none
    shutil.copy(found.folder / "net.py", code)
    assert tunecli.load(folder, [str(code)], folder=tmp_path).facts.code == {}


DATE = {"column": "holes", "part": "elapsed", "form": {"kind": "date"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(format=2), "its format is '2'"),
        (lambda facts: facts["config"]["model"].update(name="os.system"), "'os.system' does not"),
        (lambda facts: facts["config"]["model"]["arguments"].update(widht=3), "no argument"),
        (lambda facts: facts["config"]["model"]["arguments"].update(width=8), "do not fit"),
        (lambda facts: facts["members"][0].update(preprocessing="Pickle"), "do not fit"),
        (lambda facts: facts["members"][0].update(n_outputs=7), "do not fit"),
        (lambda facts: facts.update(members=[]), "members"),
        (lambda facts: facts.update(evil=1), "evil"),
        (lambda facts: facts.update(classes=["large"]), "1 classes for classification"),
        (lambda facts: facts.update(classes=["a", "b", "c"]), "2 outputs for 3 classes"),
        (lambda facts: facts.update(row_shape=[9]), r"rows of shape \(9,\) for 6 columns"),
        (lambda facts: facts["columns"].append(facts["columns"][0]), "for 7 columns"),
        (lambda facts: add_members(facts, 4, "MLP", "os.system"), "two configurations of trial 4"),
        (lambda facts: add_members(facts, 3, "os.system"), "two configurations of trial 3"),
        (lambda facts: add_members(facts, 4, "MLP", "os.system", "MLP"), "of trial 4"),
        (lambda facts: add_members(facts, 4, "os.system"), "'os.system' does not"),
        (lambda facts: facts["columns"][0].update(name="holes"), "two columns have the same name"),
        (lambda facts: facts["columns"][2].update(categories=[]), "0 categories in a categ"),
        (lambda facts: facts["columns"][0].update(date=DATE), "column 'holes' has several kinds"),
        (lambda facts: facts["columns"][2]["categories"].append("new"), "places of shape"),
        (lambda facts: facts["members"][0].update(shape=[2**40]), "features for a network with"),
        (lambda facts: facts["members"][0].update(preprocessing="OfBytes"), "'pixels' instead"),
        (lambda facts: facts["members"][0]["meaning"].update(kind="value"), "value outputs for 2"),
        (lambda facts: arguments(facts).update(width=2**20, depth=2), "a network far larger than"),
        (lambda facts: arguments(facts).update(width=1, depth=10**6), "a network far larger than"),
        (lambda facts: arguments(facts).update(depth=2 * 10**9), "arguments that sum to"),
        (lambda facts: arguments(facts).update(num_size=10**12), "arguments that sum to"),
        (lambda facts: arguments(facts).update(width=[10**6] * 10**3), "arguments that sum to"),
    ],
)
def test_facts_that_do_not_fit(folder: Path, change: object, message: str) -> None:
    edit(folder, change)
    with pytest.raises(ModelFolderError, match=message):
        tunecli.load(folder)


def add_members(facts: dict[str, Any], trial: int, *models: str) -> None:
    """Add members of one trial, each with a configuration of another model."""
    for name in models:
        config = facts["config"] | {"model": facts["config"]["model"] | {"name": name}}
        facts["members"].append(facts["members"][0] | {"trial": trial, "config": config})


def test_members_of_one_trial_have_no_fields_that_earlier_versions_refuse(folder: Path) -> None:
    [member] = json.loads((folder / FACTS).read_text())["members"]
    assert not {"weight", "trial", "config"} & member.keys()
    facts, *_ = read_folder(folder)
    weighted = facts.members[0].model_copy(
        update={"weight": 2, "trial": 4, "config": facts.config}
    )
    written = json.loads(weighted.model_dump_json())
    assert (written["weight"], written["trial"]) == (2, 4)
    assert type(weighted).model_validate_json(weighted.model_dump_json()) == weighted


def arguments(facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = facts["config"]["model"]["arguments"]
    return found


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        (
            PREPROCESSING,
            "0/numbers",
            torch.tensor([0, 1, 99, 4]),
            "numbers has values outside of 0 to",
        ),
        (PREPROCESSING, "0/numbers", torch.tensor([0.0, 1.0]), "numbers of .* float"),
        (PREPROCESSING, "0/with_holes", torch.tensor([-1]), "with_holes has values outside"),
        (PREPROCESSING, "0/places.0", torch.arange(100, 105), "places"),
        (PREPROCESSING, "0/n_features", torch.tensor([2**40]), "1099511627776 features for"),
        (PREPROCESSING, "0/cardinalities", torch.tensor([3]), "11 features, 6 of them"),
        (PREPROCESSING, "0/fill", torch.zeros(1), "fill of shape"),
        (PREPROCESSING, "0/fill", torch.full((4,), torch.nan), "fill contains numbers that"),
        (PREPROCESSING, "0/scale.0.subtract", torch.zeros(1), "subtract of shape"),
        (
            PREPROCESSING,
            "0/scale.0.subtract",
            torch.zeros(4, dtype=torch.bfloat16),
            "subtract of shape|BFloat16",
        ),
        (
            WEIGHTS,
            "0/head.bias",
            torch.full((2,), torch.inf),
            "head.bias contains numbers that",
        ),
    ],
)
def test_arrays_that_do_not_fit(
    folder: Path, name: str, key: str, value: torch.Tensor, message: str
) -> None:
    arrays = load_file(folder / name)
    assert key in arrays
    with_arrays(folder, name, save(arrays | {key: value}))
    with pytest.raises(ModelFolderError, match=message) as error:
        tunecli.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("new", ["scale.a.subtract", "scale.1.subtract"])
def test_steps_of_a_scale_have_numbers_of_their_own(folder: Path, new: str) -> None:
    arrays = load_file(folder / PREPROCESSING)
    arrays[f"0/{new}"] = arrays.pop("0/scale.0.subtract").clone()
    with_arrays(folder, PREPROCESSING, save(arrays))
    with pytest.raises(ModelFolderError, match=r"(invalid literal|two operations)"):
        tunecli.load(folder)


@pytest.mark.parametrize(("name", "n"), [("embedded", 2**40), ("digits", 3)])
def test_other_facts_that_do_not_fit(name: str, n: int, tmp_path: Path) -> None:
    folder = written(case(name), tmp_path / "model")

    def change(facts: dict[str, Any]) -> None:
        if name == "embedded":
            facts["members"][0]["n_bins"][0] = n
        else:
            facts["members"][0]["shape"] = [n, 8, 8]

    edit(folder, change)
    with pytest.raises(
        ModelFolderError, match=r"bins, but fewer weights|inputs of shape \(3, 8, 8\)"
    ):
        tunecli.load(folder)


def test_layers_that_have_lost_other_channels_than_their_neighbours(tmp_path: Path) -> None:
    found = case("compressed")
    given = found.refitted.model
    [member] = given.members
    plain = Model(given.facts, [replace(member, packed=None)], given.device)
    write_model(tmp_path, plain, {})
    arrays = load_file(tmp_path / WEIGHTS)
    name = next(key for key, array in arrays.items() if array.ndim == 4)
    changed = {name: arrays[name][:2], name.replace("weight", "bias"): torch.zeros(2)}
    with_arrays(tmp_path, WEIGHTS, save(arrays | changed))
    with pytest.raises(ModelFolderError, match="do not fit together") as error:
        tunecli.load(tmp_path)
    assert "\n" not in str(error.value)


def test_arrays_of_wrong_shapes_are_one_sentence(folder: Path) -> None:
    arrays = load_file(folder / PREPROCESSING)
    del arrays["0/fill"]
    save_file(arrays, folder / "other")
    with_arrays(folder, PREPROCESSING, (folder / "other").read_bytes())
    with pytest.raises(ModelFolderError, match="do not fit together") as error:
        tunecli.load(folder)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


# Written whole or not at all

WRITER = """
import sys
from pathlib import Path
from model_cases import case
from tunecli.model_folder.format.folder import write_model

model = case("arrays").refitted.model
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_model(Path(sys.argv[1]), model, {"number.txt": str(number)})
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_instant_leaves_a_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    rng = np.random.default_rng(0)
    for _ in range(4):
        words = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TESTS) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert process.stdout.readline() == "1\n"
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            told = [1, *(int(line) for line in process.stdout.read().split("\n") if line)]
        read_folder(folder)
        assert int((folder / "number.txt").read_text()) in (told[-1], told[-1] + 1)


@pytest.mark.parametrize("nth", range(3))
def test_a_kill_between_two_renames_leaves_the_old_folder(
    tmp_path: Path, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    folder = written(case("arrays"), tmp_path / "model")
    before = (folder / FACTS).read_bytes()
    renames = iter(range(10))
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if next(renames) == nth:
            raise KilledError
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed one tidies nothing
    try:
        write_model(folder, case("table").refitted.model, {})
    except KilledError:
        pass
    monkeypatch.undo()
    read_folder(folder)
    assert ((folder / FACTS).read_bytes() == before) == (nth < 2)
    written(case("table"), folder)
    earlier = ["model-1", "model-2"] if nth == 2 else ["model-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", *earlier]
    assert (tmp_path / "model-1" / FACTS).read_bytes() == before


def test_an_earlier_model_is_moved_to_the_next_free_name(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = case("arrays").refitted.model
    assert write_model(folder, model, {"number.txt": "0"}) == []
    (tmp_path / "model-2").write_text("mine")
    for number, name in ((1, "model-1"), (2, "model-3"), (3, "model-4")):
        [moved] = write_model(folder, model, {"number.txt": str(number)})
        assert moved == tmp_path / name
        assert (moved / "number.txt").read_text() == str(number - 1)
        read_folder(moved)
    assert (tmp_path / "model-2").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert write_model(tmp_path / "model", case("arrays").refitted.model, {}) == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_tunecli_did_not_write_is_not_replaced(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    if kind == "a file":
        written(case("arrays"), folder)
        (folder / "notes.txt").write_text("mine")
        mine, message = folder / "notes.txt", "contains 'notes.txt', which tunecli did not write"
    else:
        (tmp_path / "victim").mkdir()
        folder.symlink_to(tmp_path / "victim")
        mine, message = tmp_path / "victim" / "notes.txt", "model is a symbolic link to"
        mine.write_text("mine")
    with pytest.raises(ModelFolderError, match=message):
        written(case("table"), folder)
    assert mine.read_text() == "mine"
    assert len(list(mine.parent.iterdir())) == (1 if kind == "a link" else 5)


def test_a_folder_of_the_users_own_is_not_taken_for_an_old_model(tmp_path: Path) -> None:
    (tmp_path / ".mine.old").mkdir()
    with pytest.raises(ModelFolderError, match="not a model folder"):
        read_folder(tmp_path / "mine")
    assert (tmp_path / ".mine.old").exists()


def test_where_nothing_can_be_written_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFolderError, match="cannot be written"):
        written(case("arrays"), tmp_path / "file" / "model")


def test_a_model_of_two_networks_predicts_their_mean(tmp_path: Path) -> None:
    found = case("arrays")
    one = found.refitted.model
    member = one.members[0]
    facts = one.facts.model_copy(update={"members": (member.facts, member.facts)})
    write_model(tmp_path / "two", Model(facts, [member, member], one.device), {})
    two = tunecli.load(tmp_path / "two")
    x = np.load(found.folder / "arrays.npz")["x"]
    np.testing.assert_array_equal(two.outputs(x), one.outputs(x))
    assert two.n_weights == 2 * one.n_weights


def test_every_error_of_a_folder_is_one_of_tunecli() -> None:
    assert issubclass(ModelFolderError, TunecliError)


@pytest.mark.parametrize("named", ["", ".", "/", ".."])
def test_a_folder_without_a_name_of_its_own_is_no_model(tmp_path: Path, named: str) -> None:
    with pytest.raises(ModelFolderError, match="does not exist"):
        model_at(named, tmp_path)
