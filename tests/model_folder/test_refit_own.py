"""A model of the user's own training: scikit-learn's, so that its predictions are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_studies import CODE, STUDY, VALUES, own_study
from sklearn.linear_model import LinearRegression, LogisticRegression

from tunecli.data.rows.workspace import Workspace
from tunecli.errors import ExportError, ModelFolderError, RefitError, UserCodeError
from tunecli.model_folder.card import card
from tunecli.model_folder.exports.exporting import refuse_user_code
from tunecli.model_folder.fold_models import as_searched
from tunecli.model_folder.format.folder import read_folder, refuse_foreign_model, write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.refitting import refit_seeds
from tunecli.model_folder.results import results_of
from tunecli.search.workers.summarize_data import describe
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import conclude
from tunecli.training.user_loop.user_trial import UserTrial


def facts_in(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "facts.json").read_text())
    return found


def test_fit_gets_all_rows_and_its_model_predicts_the_test_rows(tmp_path: Path) -> None:
    own = own_study(tmp_path)
    [refitted] = refit_seeds(own.trial, own.store)
    fold = own.store.split
    dataset = own.store.dataset
    member = refitted.model.members[0]
    rows = {
        name: member.preprocessing(dataset.x[index]).numpy()
        for name, index in {"search": fold.search_rows, "test": fold.test_rows}.items()
    }
    y = dataset.y[fold.search_rows].numpy()
    reference = LogisticRegression(C=100.0, max_iter=9000, tol=1e-9)
    reference.fit(rows["search"].astype(np.float64), y)
    expected = reference.predict_proba(rows["test"])
    np.testing.assert_allclose(refitted.predictions, expected, rtol=1e-4, atol=1e-6)
    assert facts_in(refitted.model.user_networks[0].folder) == {
        "is_refit": True,
        "trial": 4,
        "study": "own",
        "n_train": len(y),
        "n_valid": 0,
        "seed": facts_in(refitted.model.user_networks[0].folder)["seed"],
        "step": 2,
    }
    assert (refitted.n_rows, refitted.validation_rows) == (len(y), 0)


def test_values_are_predicted_in_their_unit(tmp_path: Path) -> None:
    text = STUDY.replace("iris", "diabetes") + "objective: {minimize: rmse}\n"
    own = own_study(tmp_path, text, VALUES, best_step=0)
    [refitted] = refit_seeds(own.trial, own.store)
    split, dataset = own.store.split, own.store.dataset
    prepare = refitted.model.members[0].preprocessing
    x, y = prepare(dataset.x[split.search_rows]).numpy(), dataset.y[split.search_rows].numpy()
    reference = LinearRegression().fit(x, y)
    expected = reference.predict(prepare(dataset.x[split.test_rows]).numpy())
    np.testing.assert_allclose(refitted.predictions, expected, rtol=1e-4)


def test_a_study_that_stops_early_holds_out_a_tenth(tmp_path: Path) -> None:
    text = STUDY + "training: {epochs: 4, early_stopping: {patience: 2}}\n"
    own = own_study(tmp_path, text, accuracy=0.5)
    [refitted] = refit_seeds(own.trial, own.store)
    facts = facts_in(refitted.model.user_networks[0].folder)
    assert (facts["n_train"], facts["n_valid"], facts["step"]) == (108, 12, 0)
    assert refitted.validation_rows == 12


def test_the_folder_has_the_files_of_the_code_and_predicts_the_same(tmp_path: Path) -> None:
    own = own_study(tmp_path)
    [refitted] = refit_seeds(own.trial, own.store)
    folder = tmp_path / "model"
    write_model(folder, refitted.model, {})
    write_model(folder, refitted.model, {})  # replaces only what it wrote
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert names == [
        "model.json",
        "own-0/facts.json",
        "own-0/weights/coef.npy",
        "own-0/weights/intercept.npy",
        "preprocessing.safetensors",
    ]
    loaded = load_with(folder, own.workspace)
    x = own.store.dataset.x[own.store.split.test_rows]
    np.testing.assert_array_equal(loaded.of_rows(x), refitted.predictions)
    assert loaded.predict(x.numpy()).tolist() == [
        loaded.classes[i]
        for i in refitted.predictions.argmax(1)  # type: ignore[union-attr]
    ]
    with pytest.raises(UserCodeError, match=r"is own\.py:fit, which is user code\. Allow it"):
        load_with(folder, Workspace(tmp_path))
    with pytest.raises(ExportError, match="your own code, so it cannot be written as safetens"):
        refuse_user_code(folder, "safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("edit", "own-0: the checksum of weights/coef.npy is wrong"),
        ("add", "own-0: tunecli did not write notes.txt"),
        ("remove", "own-0: facts.json is missing"),
        ("link", "own-0: .* is not a regular file"),
        ("whole", "own-0: .*facts.json is missing"),
        ("more", "own-7: tunecli did not write x"),
        ("outside", "names files in"),
    ],
)
def test_changed_files_are_refused(tmp_path: Path, change: str, message: str) -> None:
    own = own_study(tmp_path)
    [refitted] = refit_seeds(own.trial, own.store)
    folder = tmp_path / "model"
    write_model(folder, refitted.model, {})
    files = folder / "own-0"
    match change:
        case "edit":
            (files / "weights" / "coef.npy").write_bytes(b"other")
        case "add":
            (files / "notes.txt").write_text("mine")
        case "remove":
            (files / "facts.json").unlink()
        case "link":
            (files / "link").symlink_to(tmp_path)
        case "whole":
            for path in sorted(files.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
        case "more":
            (folder / "own-7").mkdir()
            (folder / "own-7" / "x").write_text("mine")
        case "outside":
            text = (folder / "model.json").read_text()
            (folder / "model.json").write_text(text.replace("own-0/facts", "../facts"))
    with pytest.raises(ModelFolderError, match=message):
        read_folder(folder)
    if change in ("add", "more"):  # nothing of somebody else is replaced
        with pytest.raises(ModelFolderError, match="which tunecli did not write"):
            refuse_foreign_model(folder)


def test_other_code_is_refused(tmp_path: Path) -> None:
    own = own_study(tmp_path)
    [refitted] = refit_seeds(own.trial, own.store)
    write_model(tmp_path / "model", refitted.model, {})
    (tmp_path / "own.py").write_text(CODE + "\nprint('other')\n")
    other = Workspace(tmp_path, None, AllowedCode.of(tmp_path, [str(tmp_path / "own.py")]))
    with pytest.raises(UserCodeError, match=r"own\.py, or code that it imports, has changed"):
        load_with(tmp_path / "model", other)


def test_the_kept_models_of_the_folds_are_averaged(tmp_path: Path) -> None:
    own = own_study(tmp_path)
    config, best = own.trial.config, tmp_path / "best" / "4"
    folds = folds_of(own.store, config)
    trial = UserTrial("own", 4, tmp_path / "checkpoints", best)
    training = CrossValidation(config, folds, choose_device("cpu"), trial)
    assert len(list(training)) == 5
    conclude(training).keep(best)
    training.close()
    refitted = as_searched(own.trial, own.store, best)
    x = own.store.dataset.x[own.store.split.test_rows]
    alone = [refitted.model._of_member(member, x) for member in refitted.model.members]
    assert len(alone) == 3
    np.testing.assert_allclose(refitted.predictions, np.mean(alone, axis=0), rtol=1e-6)
    (best / "keep" / "1" / "facts.json").write_text("other")
    with pytest.raises(RefitError, match=r"the checksum of 1/facts\.json is wrong"):
        as_searched(own.trial, own.store, best)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("forgets", RefitError, r"own\.py:forgets saved nothing in fold\.keep, so there is no"),
        ("raises", UserCodeError, r"ZeroDivisionError: by zero \(own\.py, line "),
    ],
)
def test_a_training_without_a_model_is_refused(
    tmp_path: Path, name: str, kind: type[Exception], message: str
) -> None:
    own = own_study(tmp_path, STUDY.replace("own.py:fit", f"own.py:{name}"))
    with pytest.raises(kind, match=message):
        next(refit_seeds(own.trial, own.store))


def test_a_training_that_diverges_on_its_tenth_names_no_fold(tmp_path: Path) -> None:
    stops = "training: {early_stopping: {patience: 1}}\n"
    own = own_study(tmp_path, STUDY.replace("own.py:fit", "own.py:diverges") + stops)
    told = r"^the training of trial 4 with seed \d+ \w+: accuracy is nan at step 0\. Choose"
    with pytest.raises(RefitError, match=told):
        next(refit_seeds(own.trial, own.store))


def test_a_training_without_predict_is_refused_before_it_runs(tmp_path: Path) -> None:
    own = own_study(tmp_path, code="def fit(config, fold, report):\n    raise SystemExit")
    with pytest.raises(UserCodeError, match=r"own\.py has no function predict\(folder, x\)"):
        refit_seeds(own.trial, own.store)
    with pytest.raises(UserCodeError, match=r"own\.py has no function predict\(folder, x\)"):
        as_searched(own.trial, own.store, tmp_path)


def test_card_and_results_name_no_weights(tmp_path: Path) -> None:
    own = own_study(tmp_path)
    refits = [*refit_seeds(own.trial, own.store)]
    results = results_of(own.trial, own.store, refits, looks=1)
    assert (results.costs.n_weights, results.costs.macs) == (0, 0)
    summary = describe(own.trial.config, own.store)
    text = card(refits[0].model.facts, results, summary, 0)
    assert r"own.py:fit from trial 4 of the study `own` predicts one of 3 classes." in text
    assert "tunecli predict FOLDER new_rows --code own.py" in text
    assert 'load("FOLDER", code=["own.py"])' in text
    assert "weights are zero" not in text
    assert "multiplications" not in text
