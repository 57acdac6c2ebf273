"""The table of ways to compress a trial's models."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from commands import call_in, rows
from model_cases import case
from rich.console import Console
from sklearn.metrics import accuracy_score

from tunecli.cli.shared.compression_table import compression_json, render
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.errors import RefitError
from tunecli.model_folder.compressing import (
    CompressedModel,
    compressed_out_of_fold,
    compressed_ways,
    grid,
    mark_front,
    recipe_in_words,
    ways,
)
from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.costs import Latency
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.saved_models import keep_models
from tunecli.training.step.losses import standardizes_target
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import conclude

TINY = """
data: wine
validation: {folds: 2}
model: {MLP: {width: {int: [4, 8]}}}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 2}
search: {trials: 2, pruner: none}
"""


def steps(**given: object) -> CompressionSettings:
    return CompressionSettings.model_validate(given)


def row(score: float, size: float, **given: object) -> CompressedModel:
    time = Latency(1e-4, 0.9e-4, 1.1e-4)
    return CompressedModel(steps(**given), (score, score), size, size / 2, time, time, 0.25)


def test_every_way_is_scored_on_the_folds_of_the_search(tmp_path: Path) -> None:
    made = case("arrays")
    config, store = made.trial.config, made.store
    training = CrossValidation(
        config,
        store.folds(FeatureForm(config.data.scale), standardizes_target(config.loss)),
        choose_device("cpu"),
    )
    for _ in training:
        pass
    end = conclude(training)
    wanted = ways(made.trial, store, finetune_epochs=1)
    anew = list(compressed_ways(made.trial, store, tmp_path / "none", wanted))
    keep_models(tmp_path / "3", config, end.models())
    kept = list(compressed_ways(made.trial, store, tmp_path / "3", wanted))
    assert kept[0].fold_scores == anew[0].fold_scores == end.result.fold_scores
    assert [one.fold_scores for one in kept] == [one.fold_scores for one in anew]
    assert [one.steps for one in kept[1:]] == grid(1, has_norms=False)
    by_name = {recipe_in_words(one.steps): one for one in kept}
    assert by_name["int8"].size < kept[0].size
    assert by_name["prune 80 %"].zeros >= 0.75
    for one in kept:
        assert one.reason == ""
        assert one.one is not None
        assert one.one.low <= one.one.median <= one.one.high

    y = store.dataset.y.numpy()
    for one in kept[1:4]:
        config_of_row = config.model_copy(update={"compression": one.steps})
        trial = replace(made.trial, config=config_of_row)
        outputs = compressed_out_of_fold(trial, store, tmp_path / "3")
        assert outputs is not None
        scores = [
            accuracy_score(y[valid], output.argmax(1))
            for output, (_, valid) in zip(outputs, store.split.folds, strict=True)
        ]
        assert scores == pytest.approx(one.fold_scores)
        assert compressed_out_of_fold(trial, store, tmp_path / "none") is None


@pytest.mark.parametrize("name", ["compressed"])
def test_what_is_compressed_already_is_refused(name: str) -> None:
    made = case(name)
    with pytest.raises(RefitError, match="trial 3 is compressed already"):
        ways(made.trial, made.store, 1)


def test_a_way_that_fails_leaves_the_other_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case("arrays")

    def stumbling(*_: object) -> None:
        raise IndexError("of a sort that nobody\nthought of")

    monkeypatch.setattr("tunecli.training.compression.recipe.quantize", stumbling)
    wanted = [steps(), steps(quantize="int8"), steps(prune={"amount": 0.5})]
    plain, failed, pruned = compressed_ways(made.trial, made.store, tmp_path, wanted)
    assert failed.reason == "IndexError: of a sort that nobody"
    assert plain.fold_scores
    assert pruned.fold_scores


def test_norms_are_folded_only_where_there_are_any() -> None:
    assert not any(one.fuse for one in grid(5, has_norms=False))
    assert any(one.fuse for one in grid(5, has_norms=True))
    assert not any(one.merge for one in grid(5, has_norms=True))
    assert [one.merge for one in grid(5, has_norms=False, has_adapter=True)][-2:] == [True, True]
    assert not any(one.structured for one in grid(5, has_norms=True, loses_channels=False))
    assert len({one.model_dump_json() for one in grid(5, has_norms=True)}) == len(
        grid(5, has_norms=True)
    )


def test_the_front_is_marked() -> None:
    rows = [
        row(0.9, 100),
        row(0.9, 50),
        row(0.8, 60),
        CompressedModel(steps(), reason="no"),
        row(0.7, 10),
    ]
    assert mark_front(rows, maximize=True) == [False, True, False, False, True]
    assert mark_front(rows, maximize=False) == [False, False, False, False, True]


def test_the_table_fits_a_terminal_and_says_what_failed() -> None:
    idle = replace(row(0.98, 24_940, quantize="int8"), left_out=("quantize",))
    rows = [
        row(0.98, 24_940),
        row(0.97, 9_961, prune={"amount": 0.8}, share={"clusters": 16}),
        row(0.97, 9_961, structured={"amount": 0.5}, quantize="int8"),
        CompressedModel(
            steps(structured={"amount": 0.5}), reason="torch-pruning cannot remove channels"
        ),
        idle,
    ]
    out = StringIO()
    marked = [True, True, False, False, False]
    Console(file=out, width=80).print(render(rows, marked, "balanced_accuracy"))
    text = out.getvalue()
    assert " *1 prune 80 % + share 16 " in text
    assert "Only structured, fuse and merge change the latency." in " ".join(text.split())
    assert "-0.0100" in text
    assert " 9.96 " in text
    assert "100±10%" in text
    assert "cannot remove channels" in text
    assert "row 4: quantize was skipped: it would not make the file smaller" in text
    assert "…" not in text.replace("balance…", "")
    read = json.loads(compression_json(rows, marked))
    assert read[1]["steps"] == {"prune": {"amount": 0.8}, "share": {"clusters": 16}}
    assert [one["front"] for one in read] == marked


def test_all_ways_of_a_slow_model_are_timed_with_as_few_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case("arrays")
    wanted = [steps(), steps(quantize="int8")]
    whole = list(compressed_ways(made.trial, made.store, tmp_path, wanted))
    n_rows = min(256, min(len(train) for train, _ in made.store.split.folds))
    assert [(one.n_many, one.many is None) for one in whole] == [(n_rows, False)] * 2
    monkeypatch.setattr("tunecli.model_folder.compressing.TIMING_SECONDS", 0.0)
    slow = list(compressed_ways(made.trial, made.store, tmp_path, wanted))
    assert [(one.n_many, one.many) for one in slow] == [(1, None)] * 2
    assert [one.fold_scores for one in slow] == [one.fold_scores for one in whole]
    some = [replace(one, n_many=64, many=one.one) for one in slow]
    out = StringIO()
    Console(file=out, width=80).print(render(some, [True, True], "accuracy"))
    assert "64 rows" in out.getvalue()


@pytest.mark.slow
def test_of_several_objectives_a_trial_is_chosen_as_for_a_refit(tmp_path: Path) -> None:
    two = TINY + "objective: [{maximize: accuracy}, {minimize: n_weights}]\n"
    (tmp_path / "two.yaml").write_text(two)
    call_in(tmp_path, "search", "two.yaml", "--jobs", "1")
    asked = call_in(tmp_path, "compress", "two", code=1)
    assert "--pareto 1 (`tunecli report`" in asked.stderr
    words = ["compress", "two", "--finetune-epochs", "0", "--json"]
    by_place = call_in(tmp_path, *words, "--pareto", "1")
    smallest = call_in(
        tmp_path, *words, "--best-within", "accuracy >= 0", "--minimize", "n_weights"
    )
    for done in (by_place, smallest):
        assert len(json.loads(done.stdout)) > 10
    call_in(tmp_path, "compress", "two", "--pareto", "1", "--trial", "0", code=2)


def test_a_model_folder_tells_which_trial_it_was_made_of(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    call_in(tmp_path, "search", "tiny.yaml")
    call_in(tmp_path, "refit", "tiny", "--trial", "1")
    model = "runs/tiny/model"
    done = call_in(tmp_path, "compress", model, "--finetune-epochs", "0", "--json")
    assert "tiny: trial 1, uncompressed …" in done.stderr
    [trial] = rows(
        tmp_path / "runs/tiny/study.db", "SELECT fold_scores FROM tunecli_trials WHERE number = 1"
    )
    assert json.loads(done.stdout)[0]["fold_scores"] == pytest.approx(json.loads(str(trial[0])))
    picked = call_in(tmp_path, "compress", model, "--finetune-epochs", "0", "--pick", "1")
    assert "tiny: trial 1, int8 …" in picked.stderr
    assert "The earlier model was moved to " in picked.stderr
    assert "/runs/tiny/model-1.\n" in picked.stderr
    assert (tmp_path / model / "weights-0.packed").is_file()
    call_in(tmp_path, "compress", "tiny", "--pick", "99", code=2)
    (tmp_path / model).rename(tmp_path / "elsewhere")
    found = call_in(tmp_path, "compress", "elsewhere", "--pick", "2")
    assert "tiny: trial 1, int4 …" in found.stderr
    lost = call_in(tmp_path, "compress", "elsewhere", "--runs", "others", code=1)
    assert (
        "was made from trial 1 of study tiny, but there is no such study in others" in lost.stderr
    )


TWO = TINY.replace("wine", "breast_cancer").replace("trials: 2", "trials: 1, baselines: false")


@pytest.mark.slow
def test_a_compressed_model_is_adjusted_anew_and_keeps_a_given_threshold(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO)
    call_in(tmp_path, "search", "two.yaml", "--jobs", "1", "--quiet")
    pick = ("compress", "two", "--finetune-epochs", "0", "--pick", "2")
    folder = tmp_path / "runs" / "two" / "model"

    def stored() -> tuple[dict[str, Any], dict[str, Any]]:
        facts = json.loads((folder / "model.json").read_text())
        return facts, json.loads((folder / "metrics.json").read_text())["adjustment"]

    call_in(tmp_path, "refit", "two", "--threshold", "0.3")
    _, plain = stored()
    told = call_in(tmp_path, *pick).stdout
    facts, found = stored()
    assert "at least 0.3 (as given)" in told
    assert facts["decision"]["threshold"] == 0.3
    assert (found["why_not"], found["n_rows"]) == ("", plain["n_rows"])
    assert found["calibration"]["log_loss"] != plain["calibration"]["log_loss"]
    assert facts["temperature"] == (
        found["calibration"]["temperature"] if found["calibration"]["is_kept"] else None
    )
    call_in(tmp_path, "refit", "two", "--threshold", "none")
    call_in(tmp_path, *pick)
    assert stored()[0]["decision"] is None
    assert stored()[1]["threshold"]["metric"] == ""
    call_in(tmp_path, "refit", "two")
    call_in(tmp_path, *pick)
    assert stored()[1]["threshold"]["metric"] == "accuracy"
    shutil.rmtree(tmp_path / "runs" / "two" / "best")
    told = call_in(tmp_path, *pick).stdout
    assert "the search kept no models of trial 0 that can be compressed this way" in " ".join(
        told.split()
    )
