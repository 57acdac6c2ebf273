"""The table of ways to compress a trial's models."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from model_cases import case
from rich.console import Console

from tunecli.cli.compression_table import render, to_json
from tunecli.errors import RefitError
from tunecli.model_folder.compressing import Row, compressed_ways, grid, in_words, on_front
from tunecli.study_file.settings import CompressionSettings
from tunecli.training.compression.costs import Latency
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.finishing import finish
from tunecli.training.kept_models import keep_models
from tunecli.training.losses import standardizes_target
from tunecli.training.precision import choose_device


def steps(**given: object) -> CompressionSettings:
    return CompressionSettings.model_validate(given)


def row(score: float, size: float, **given: object) -> Row:
    time = Latency(1e-4, 0.9e-4, 1.1e-4)
    return Row(steps(**given), (score, score), size, size / 2, time, time, 0.25)


def test_every_way_is_scored_on_the_folds_of_the_search(tmp_path: Path) -> None:
    made = case("arrays")
    config, store = made.trial.config, made.store
    training = CrossValidation(
        config,
        store.folds(config.data.scale, standardizes_target(config.loss)),
        choose_device("cpu"),
    )
    for _ in training:
        pass
    end = finish(training)
    anew = list(compressed_ways(made.trial, store, tmp_path / "none", finetune_epochs=1))
    keep_models(tmp_path / "3", config, end.models())
    kept = list(compressed_ways(made.trial, store, tmp_path / "3", finetune_epochs=1))
    assert kept[0].fold_scores == anew[0].fold_scores == end.result.fold_scores
    assert [one.fold_scores for one in kept] == [one.fold_scores for one in anew]
    assert [one.steps for one in kept[1:]] == grid(1, has_norms=False)
    by_name = {in_words(one.steps): one for one in kept}
    assert by_name["int8"].size < kept[0].size
    assert by_name["prune 80 %"].zeros >= 0.75
    for one in kept:
        assert one.reason == ""
        assert one.one is not None
        assert one.one.low <= one.one.median <= one.one.high


@pytest.mark.parametrize("name", ["compressed"])
def test_what_is_compressed_already_is_refused(name: str, tmp_path: Path) -> None:
    made = case(name)
    with pytest.raises(RefitError, match="trial 3 is compressed already"):
        next(compressed_ways(made.trial, made.store, tmp_path, 1))


def test_norms_are_folded_only_where_there_are_any() -> None:
    assert not any(one.fuse for one in grid(5, has_norms=False))
    assert any(one.fuse for one in grid(5, has_norms=True))
    assert len({one.model_dump_json() for one in grid(5, has_norms=True)}) == len(
        grid(5, has_norms=True)
    )


def test_the_front_is_marked() -> None:
    rows = [row(0.9, 100), row(0.9, 50), row(0.8, 60), Row(steps(), reason="no"), row(0.7, 10)]
    assert on_front(rows, maximize=True) == [False, True, False, False, True]
    assert on_front(rows, maximize=False) == [False, False, False, False, True]


def test_the_table_fits_a_hundred_columns_and_says_what_failed() -> None:
    rows = [
        row(0.98, 24_940),
        row(0.97, 9_961, prune={"amount": 0.8}, share={"clusters": 16}),
        Row(steps(structured={"amount": 0.5}), reason="torch-pruning cannot remove channels"),
    ]
    out = StringIO()
    Console(file=out, width=100).print(render(rows, [True, True, False], "accuracy"))
    text = out.getvalue()
    assert "prune 80 % + share 16 *" in text
    assert "-0.0100" in text
    assert "9.96 KB" in text
    assert "100 µs ±10%" in text
    assert "cannot remove channels" in text
    assert "…" not in text
    read = json.loads(to_json(rows, [True, True, False]))
    assert read[1]["steps"] == {"prune": {"amount": 0.8}, "share": {"clusters": 16}}
    assert [one["front"] for one in read] == [True, True, False]
