"""Exported files give what the model gives, whoever runs them."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from model_cases import STUDIES, case
from safetensors.torch import load_file

from tunecli.errors import DataError, ExportError
from tunecli.model_folder.exports.exporting import TOLERANCE, Format, export_model
from tunecli.model_folder.exports.graph import Graph, given_to_graph, why_not_whole
from tunecli.model_folder.fold_models import as_searched
from tunecli.model_folder.format.model import Member, Model
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of
from tunecli.training.saved_models import keep_models
from tunecli.training.step.losses import Predictions
from tunecli.training.trial_end import conclude

SOURCES = {
    "values": "table.csv",
    "labels": "labels.csv",
    "digits": "digits",
    "compressed": "digits",
    "pictures": "pictures/",
    "deep": "deep/",
}
SOURCES |= {"arrays": "arrays.npz", "plateau": "arrays.npz"}
SOURCES |= {"tokens": "tokens.npz", "offset": "offset.csv"}
LEFT_OUT = {"quantile": "scaling by rank"}
SLOW = {"table", "embedded", "counts", "compressed", "plateau", "quantile", "own"}


def model_of(name: str) -> Model:
    found = case(name)
    given = found.refitted.model
    return Model(given.facts, given.members, torch.device("cpu"), found.workspace)


CASES = [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in STUDIES]


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_predicts_what_the_model_predicts(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    found = export_model(model, "onnx", tmp_path / "m.onnx", SOURCES.get(name, "table.csv"))
    assert found.difference <= TOLERANCE
    assert found.left_out == why_not_whole(model)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = case(name).store.dataset.x
    assert isinstance(x, torch.Tensor)
    for n_rows in (1, 7, 30):
        rows = x[:n_rows]
        told = session.run(None, {"rows": given_to_graph(model, rows).numpy()})[0]
        expected = model.of_rows(rows)
        _assert_near(told, expected, model)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def _assert_near(told: Predictions, expected: Predictions, model: Model) -> None:
    """To the tolerance, of values in units of their spread: their mean may be a billion."""
    assert told.dtype == expected.dtype
    meaning = model.members[0].facts.meaning
    rtol = 0.0 if meaning.kind == "value" else TOLERANCE
    atol = TOLERANCE * np.array(meaning.std)
    assert (np.abs(told - expected) <= atol + rtol * np.abs(expected)).all()


@pytest.mark.parametrize(
    "name", ["arrays", "digits", "pictures", "deep", "tokens", "offset", "values", "labels"]
)
def test_a_pt2_file_predicts_what_the_model_predicts(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    export_model(model, "pt2", tmp_path / "m.pt2", SOURCES[name])
    x = case(name).store.dataset.x
    assert isinstance(x, torch.Tensor)
    module = torch.export.load(tmp_path / "m.pt2").module()
    for n_rows in (1, 30):
        told = module(x[:n_rows]).detach().numpy()
        _assert_near(told, model.of_rows(x[:n_rows]), model)
    assert (tmp_path / "m.pt2").stat().st_size < 200_000  # not the storage behind its example


def test_what_cannot_be_in_a_graph_is_named() -> None:
    assert why_not_whole(model_of("quantile")) == "scaling by rank"
    assert why_not_whole(model_of("table")) == why_not_whole(model_of("embedded")) == ""


def of_folds(name: str, tmp_path: Path) -> Model:
    """The mean of fold models, each with the preprocessing of its fold."""
    made = case(name)
    config, store = made.trial.config, made.store
    folds = folds_of(store, config)
    training = CrossValidation(config, folds, torch.device("cpu"))
    for _ in training:
        pass
    keep_models(tmp_path / "kept", config, conclude(training).models())
    given = as_searched(made.trial, store, tmp_path / "kept").model
    return Model(given.facts, given.members, torch.device("cpu"), made.workspace)


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("table", "onnx"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("table", "pt2"),
                ("embedded", "onnx"),
                ("quantile", "onnx"),
                ("quantile", "pt2"),
            ]
        ),
    ],
)
def test_each_network_gets_rows_by_the_preprocessing_of_its_own_fold(
    name: str, to: Format, tmp_path: Path
) -> None:
    model = of_folds(name, tmp_path)
    found = export_model(model, to, tmp_path / "file", "table.csv")
    assert found.difference <= TOLERANCE
    assert found.left_out == LEFT_OUT.get(name, "")
    assert found.n_networks == len(model.members) > 1
    x = case(name).store.dataset.x
    assert isinstance(x, torch.Tensor)
    rows = x.clone()
    kinds = [column.kind for column in model.facts.columns]
    rows[:40, kinds.index("categorical")] = torch.tensor([torch.nan, 99.0, 0.0, 1.0] * 10)
    given = given_to_graph(model, rows)
    if to == "onnx":
        session = onnxruntime.InferenceSession(tmp_path / "file")
        told = session.run(None, {"rows": given.numpy()})[0]
    else:
        told = torch.export.load(tmp_path / "file").module()(given).detach().numpy()
    np.testing.assert_allclose(told, model.of_rows(rows), rtol=TOLERANCE, atol=TOLERANCE)


def test_weights_alone(tmp_path: Path) -> None:
    model = model_of("arrays")
    export_model(model, "safetensors", tmp_path / "m.safetensors", "nowhere.csv")
    state = model.members[0].network.state_dict()
    found = load_file(tmp_path / "m.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_a_file_that_would_give_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("arrays")
    member = model.members[0]
    other = dataclasses.replace(member.facts.meaning, kind="softmax")
    facts = member.facts.model_copy(update={"meaning": other})
    wrong = Member(facts, member.preprocessing, torch.nn.Sequential(member.network, _Doubled()))
    changed = Model(model.facts, [wrong], model.device, model.workspace)
    monkeypatch.setattr(changed, "of_rows", model.of_rows)
    with pytest.raises(ExportError, match="file differ from the model's by"):
        export_model(changed, "pt2", tmp_path / "m.pt2", "arrays.npz")
    assert not list(tmp_path.iterdir())


class _Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x], dim=1)


class _Branching(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] if x.sum() > 0 else -x[:, :1]


def test_a_network_that_torch_cannot_trace_is_told_in_one_line(tmp_path: Path) -> None:
    model = model_of("arrays")
    member = dataclasses.replace(model.members[0], network=_Branching())
    branching = Model(model.facts, [member], model.device, model.workspace)
    with pytest.raises(ExportError, match="torch cannot export this network") as error:
        export_model(branching, "pt2", tmp_path / "m.pt2", "arrays.npz")
    assert "\n" not in str(error.value)


def test_rows_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows to compare on: .* Choose other rows with"):
        export_model(model_of("arrays"), "pt2", tmp_path / "m.pt2", "nowhere.npz")


def test_a_table_without_rows_has_none_to_compare_on(tmp_path: Path) -> None:
    header = (case("table").folder / "table.csv").read_text().splitlines()[0]
    (tmp_path / "empty.csv").write_text(header + "\n")
    told = r"^rows to compare on: empty.csv has a header but no rows\. Choose other rows with"
    with pytest.raises(DataError, match=told):
        export_model(model_of("table"), "pt2", tmp_path / "m.pt2", str(tmp_path / "empty.csv"))
    np.save(tmp_path / "empty.npy", np.zeros((0, 5)))
    with pytest.raises(DataError, match=r"compare on.* Choose other rows with --data"):
        export_model(model_of("arrays"), "pt2", tmp_path / "m.pt2", str(tmp_path / "empty.npy"))


@pytest.mark.parametrize("name", ["table", "embedded", "pictures", "arrays", "offset"])
def test_a_graph_moves_to_another_device_with_its_preprocessing(name: str) -> None:
    """On the meta device, which refuses every tensor that stayed on the CPU."""
    model = model_of(name)
    x = case(name).store.dataset.x
    assert isinstance(x, torch.Tensor)
    graph = copy.deepcopy(Graph(model.members, with_preprocessing=True))
    assert [*graph.preparing.buffers()]
    assert graph.to("meta")(given_to_graph(model, x[:3]).to("meta")).shape[0] == 3
