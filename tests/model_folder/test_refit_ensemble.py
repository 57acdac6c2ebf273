"""Ensembles of trials and means of seeds, from the search to predictions and exported files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import call_in

import tunecli
from tunecli.model_folder.format.model import Model
from tunecli.study_file.study_file import StudyFile

STUDY = """
data: {{source: rows.csv, target: {target}, drop: {other}, test: 0.2}}
validation: {{folds: 3}}
model: {{choice: {{MLP: {{width: {{int: [4, 32]}}, embed: 2}}, Linear: {{}}}}}}
optimizer: {{AdamW: {{lr: {{float: [0.003, 0.1], log: true}}}}}}
training: {{epochs: 3, batch_size: 32}}
search: {{trials: 8, sampler: Random, pruner: none, baselines: false, keep_models: 3}}
"""


def write_study(folder: Path, target: str, other: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3)).round(3)
    kind = rng.choice(["a", "b", "c"], 240)
    price = (20 + 4 * x[:, 0] + 3 * (kind == "a") + np.sin(2 * x[:, 1]) + x[:, 2] ** 2).round(3)
    rows = pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "w": x[:, 2], "kind": kind, "price": price})
    rows["size"] = np.where(price > np.median(price), "large", "small")
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / f"{target}.yaml").write_text(STUDY.format(target=target, other=other))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two searched studies, `price` and `size`."""
    folder = tmp_path_factory.mktemp("ensembles")
    for target, other in (("price", "size"), ("size", "price")):
        write_study(folder, target, other)
        call_in(folder, "search", f"{target}.yaml", "--jobs", "1", "--quiet")
    return folder


def outputs(model: Model, rows: pd.DataFrame) -> np.ndarray:
    """A model's values, or its probabilities without the temperature."""
    if not model.facts.classes:
        return np.asarray(model.predict(rows))
    plain = model.facts.model_copy(update={"temperature": None})
    return np.asarray(Model(plain, model.members, model.device).predict_proba(rows))


def facts(folder: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / name).read_text())
    return read


@pytest.mark.slow
@pytest.mark.parametrize("study", ["price", "size"])
@pytest.mark.parametrize("how", [[], ["--as-searched"]], ids=["trained", "as searched"])
def test_an_ensemble_predicts_the_weighted_mean(
    searched: Path, study: str, how: list[str], tmp_path: Path
) -> None:
    target = tmp_path / "model"
    called = call_in(searched, "refit", study, "--ensemble", "5", *how, "-o", str(target))
    told = called.stdout
    assert f"{study}: ensemble, choosing among {3 if how else 8} trials …" in called.stderr
    metrics, manifest = facts(target, "metrics.json"), facts(target, "model.json")
    chosen = metrics["ensemble"]["trials"]
    assert metrics["ensemble"]["why_not"] == ""
    assert len(chosen) > 1
    assert f"ensemble    the weighted mean of {len(chosen)} of" in told

    rows = pd.read_csv(searched / "rows.csv").drop(columns=["price", "size"])
    singles = []
    for one in chosen:
        alone = tmp_path / str(one["trial"])
        words = ("--trial", str(one["trial"]), *how, "--threshold", "none", "-o", str(alone))
        call_in(searched, "refit", study, *words)
        singles.append(outputs(tunecli.load(alone), rows))
    model = tunecli.load(target)
    n_networks = 3 if how else 1
    assert len(model.members) == n_networks * len(chosen)
    assert model.n_weights == metrics["costs"]["n_weights"]
    assert metrics["costs"]["size"] == (target / "weights.safetensors").stat().st_size
    weights = [one["weight"] for one in chosen]
    expected = np.average(singles, axis=0, weights=weights)
    precision = 1e-9 if study == "price" else 1e-6  # of 64 and of 32 bits
    np.testing.assert_allclose(outputs(model, rows), expected, rtol=precision)
    if study == "size":
        assert manifest["temperature"] == (
            metrics["adjustment"]["calibration"]["temperature"]
            if metrics["adjustment"]["calibration"]["is_kept"]
            else None
        )
        assert metrics["adjustment"]["n_rows"] == 192
        assert metrics["adjustment"]["n_trials"] == len(chosen)
        assert metrics["adjustment"]["is_of_single"] == bool(how)
    for format_ in ("onnx", "pt2"):
        file = tmp_path / f"model.{format_}"
        call_in(searched, "export", str(target), "--to", format_, "-o", str(file))
        assert file.stat().st_size
    first, *others = [one["trial"] for one in chosen]
    files = ["study.yaml", *(f"study-{one}.yaml" for one in others)]
    for number, name in zip([first, *others], files, strict=True):
        text = (target / name).read_text()
        assert text.startswith(f"# Trial {number} of study {study}")
        StudyFile.from_text(text, name)
    card = (target / "README.md").read_text()
    assert f"| {first} | {chosen[0]['model']} |" in card

    call_in(searched, "refit", study, "--trial", "0", "-o", str(target))  # replaces all its files
    assert (tmp_path / "model-1" / files[-1]).is_file()
    told = call_in(searched, "compress", str(tmp_path / "model-1"), code=1).stderr
    assert f"holds an ensemble of {len(chosen)} trials" in " ".join(told.split())


@pytest.mark.slow
def test_the_mean_of_seeds(searched: Path, tmp_path: Path) -> None:
    target = tmp_path / "mean"
    told = call_in(searched, "refit", "price", "--seeds", "3", "--mean", "-o", str(target)).stdout
    assert "over 3 training runs, whose mean is the model" in told
    assert "mean score of its 3 single networks, as in the search" in told
    call_in(searched, "refit", "price", "-o", str(tmp_path / "one"))
    rows = pd.read_csv(searched / "rows.csv").drop(columns=["price", "size"])
    model, one = tunecli.load(target), tunecli.load(tmp_path / "one")
    assert len(model.members) == 3
    first = type(one)(one.facts, model.members[:1], one.device)
    np.testing.assert_array_equal(first.predict(rows), one.predict(rows))
    assert "This model is the mean of all of them." in (target / "README.md").read_text()
    for member in facts(target, "model.json")["members"]:  # so that earlier versions open it
        assert not {"weight", "trial", "config"} & member.keys()


@pytest.mark.slow
def test_limits_add_up(searched: Path, tmp_path: Path) -> None:
    target = tmp_path / "small"
    most = 150
    words = ("--ensemble", "6", "--best-within", f"n_weights <= {most}", "-o", str(target))
    call_in(searched, "refit", "price", *words)
    assert tunecli.load(target).n_weights <= most
    told = call_in(searched, "refit", "price", *words[:-3], "n_weights <= 1", code=1).stderr
    assert "no complete trial meets all conditions at once" in " ".join(told.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ensemble", "4", "--trial", "1"), "--trial cannot be combined with --ensemble"),
        (("--ensemble", "4", "--seeds", "2"), "--seeds cannot be combined with --ensemble"),
        (("--ensemble", "4", "--pareto", "1"), "--pareto cannot be combined with --ensemble"),
        (("--mean",), "--mean requires --seeds above 1"),
        (
            ("--ensemble", "4", "--best-within", "rmse <= 9"),
            "takes only upper limits of costs that add up over the ensemble's networks",
        ),
        (("--ensemble", "4", "--best-within", "size >= 1KB"), "takes only upper limits of costs"),
    ],
)
def test_what_does_not_fit_is_refused(searched: Path, words: tuple[str, ...], told: str) -> None:
    code = 2 if "cannot be combined" in told or "requires" in told else 1
    error = call_in(searched, "refit", "price", *words, code=code).stderr
    assert told in " ".join(error.replace("│", " ").split())
    assert not (searched / "runs" / "price" / "model").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "search.keep_predictions=1",
            "an ensemble needs out-of-fold predictions of at least two trials",
        ),
        ("objective=[{minimize: rmse}, {minimize: size}]", "has several objectives"),
    ],
)
def test_studies_without_ensembles(tmp_path: Path, change: str, told: str) -> None:
    write_study(tmp_path, "price", "size")
    words = ("--set", change, "--set", "search.trials=3", "--jobs", "1", "--quiet")
    call_in(tmp_path, "search", "price.yaml", *words)
    error = call_in(tmp_path, "refit", "price", "--ensemble", "4", code=1).stderr
    assert told in " ".join(error.split())
    assert not (tmp_path / "runs" / "price" / "model").exists()


def test_a_training_loop_without_predictions_is_told_to_report_them(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def fit(config, fold):\n    yield {'accuracy': 0.5 + fold.number / 10}\n\n\n"
        "def predict(folder, x):\n    raise NotImplementedError\n"
    )
    (tmp_path / "own.yaml").write_text(
        "data: digits\ntrain: own.py:fit\nobjective: {maximize: accuracy}\n"
        "validation: {folds: 2}\nsearch: {trials: 2}\n"
    )
    words = ("own.yaml", "--code", "own.py", "--jobs", "1", "--quiet")
    call_in(tmp_path, "search", *words)
    told = call_in(tmp_path, "refit", "own", "--ensemble", "2", "--code", "own.py", code=1).stderr
    assert (
        "has those of no trial. Let own.py:fit report its predictions for x_valid, with "
        "`report({…}, step, predictions=p)` or `yield {…}, p`, and run a new search with "
        "search.keep_predictions above 1."
    ) in " ".join(told.split())


LABELS = """
data: {source: labels.csv, targets: [a, b, probability_a], task: multilabel, test: 0.2}
validation: {folds: 3}
model: {MLP: {width: {int: [4, 32]}, depth: 1}}
optimizer: {AdamW: {lr: {float: [0.003, 0.1], log: true}}}
training: {epochs: 3, batch_size: 32}
objective: {maximize: average_precision}
metrics: [{f1: {average: micro}}]
search: {trials: 5, sampler: Random, pruner: none, baselines: false}
"""


@pytest.mark.slow
def test_labels_of_an_ensemble_have_thresholds_and_columns_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).round(3)
    rows = pd.DataFrame(x, columns=["u", "v", "w"])
    for number, name in enumerate(("a", "b", "probability_a")):  # rare ones
        rows[name] = (x[:, number] + rng.normal(size=400) > 1.8).astype(int)
    rows.to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "labels.yaml").write_text(LABELS)
    call_in(tmp_path, "search", "labels.yaml", "--jobs", "1", "--quiet")
    call_in(tmp_path, "refit", "labels", "--ensemble", "4")
    model = facts(tmp_path / "runs/labels/model", "model.json")
    assert any(threshold < 0.5 for threshold in model["thresholds"])
    said = call_in(tmp_path, "predict", "labels", "labels.csv", "--proba", code=2).stderr
    assert "--proba: 'probability_a' is a target" in said
