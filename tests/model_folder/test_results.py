"""What a refitted model costs, and that a compressed one is kept packed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_cases import case
from study_makers import SUMMARY

from tunecli.cli.refit import results_lines
from tunecli.errors import ModelFolderError
from tunecli.model_folder.card import card
from tunecli.model_folder.format.folder import WEIGHTS, read_folder, write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.results import costs_of_model, results_of
from tunecli.report.analysis.expected_score import ExpectedScore
from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.packing import pack


@pytest.mark.parametrize("name", ["arrays", "compressed", "embedded"])
def test_the_size_is_that_of_the_files_that_are_written(name: str, tmp_path: Path) -> None:
    made = case(name)
    found = costs_of_model(made.refitted.model, made.store)
    write_model(tmp_path / "model", made.refitted.model, {})
    files = [*(tmp_path / "model").glob("weights*")]
    assert [path.suffix for path in files] == [
        ".packed" if name == "compressed" else ".safetensors"
    ]
    assert found.size == sum(path.stat().st_size for path in files)
    network = made.refitted.model.members[0].network
    assert found.n_weights == sum(p.numel() for p in network.parameters())
    assert found.macs > 0
    for time in found.latency.values():
        assert 0 < time.low <= time.median <= time.high


def test_a_packed_folder_gives_the_bits_that_were_scored(tmp_path: Path) -> None:
    made = case("compressed")
    write_model(tmp_path / "model", made.refitted.model, {})
    again = load_with(tmp_path / "model", made.workspace)
    rows = made.store.dataset.x[made.store.split.test_rows]
    np.testing.assert_array_equal(again.of_rows(rows), made.refitted.predictions)


def test_where_packing_does_not_pay_the_plain_file_is_written_and_that_is_said(
    tmp_path: Path,
) -> None:
    made = case("arrays")
    given = made.refitted.model
    [member] = given.members
    packed = pack(member.network, {}, (), ("share", "quantize"))
    config = given.facts.config.model_copy(
        update={"compression": CompressionSettings(quantize="int8")}
    )
    facts = given.facts.model_copy(update={"config": config})
    model = Model(facts, [replace(member, packed=packed)], given.device, made.workspace)
    costs = costs_of_model(model, made.store)
    assert costs.left_out == ("share", "quantize")
    results = replace(results_of(made.trial, made.store, [made.refitted], 1), costs=costs)
    told = "share and quantize were skipped: they would not make the file smaller"
    assert f"compressed  {told}" in results_lines(results)
    assert told in card(facts, results, SUMMARY, model.n_weights)
    write_model(tmp_path / "model", model, {})
    assert [path.name for path in (tmp_path / "model").glob("weights*")] == [WEIGHTS]
    rows = made.store.dataset.x[:9]
    again = load_with(tmp_path / "model", made.workspace)
    np.testing.assert_array_equal(again.of_rows(rows), given.of_rows(rows))


def test_the_rows_behind_a_score_are_counted_by_their_weight_in_it() -> None:
    """Folds score each row once; holdouts that overlap have fewer independent rows than rows."""
    made = case("arrays")
    counts = results_of(made.trial, made.store, [made.refitted], 1).validated
    assert counts is not None
    n_search, n_folds = len(made.store.split.search_rows), len(made.store.split.folds)
    assert counts.test == len(made.store.split.test_rows)
    assert counts.fold == pytest.approx(n_search / n_folds)
    assert counts.valid == pytest.approx(n_search, rel=0.01)


def test_the_card_says_what_to_expect_and_of_what() -> None:
    made = case("arrays")
    results = results_of(made.trial, made.store, [made.refitted], 1)
    facts, n_weights = made.refitted.model.facts, made.refitted.model.n_weights
    results = replace(results, fold_scores=(0.9, 0.92))
    assert "so the score is slightly optimistic" in card(facts, results, SUMMARY, n_weights)
    expected = ExpectedScore(0.9, 0.85, 0.95, 0.01, 30, 360)
    results = replace(results, expected=expected)
    told = f"{results.metric} 0.91 ± 0.01414. Expected of this model: {expected.sentence}."
    assert told in card(facts, results, SUMMARY, n_weights)
    assert f"expected    {results.metric} {expected.sentence}" in results_lines(results)
    networks = replace(results, n_networks=2, n_parts=2)
    shown = card(facts, networks, SUMMARY, n_weights)
    assert "0.91 ± 0.01414, the mean score of its single networks. Expected of a single" in shown


def test_a_slow_model_is_timed_with_fewer_rows_and_the_card_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = case("arrays")
    model, n_rows = made.refitted.model, len(made.store.split.search_rows)
    whole = costs_of_model(model, made.store)
    assert ([*whole.latency], whole.n_untimed) == (["1", str(n_rows)], 0)
    assert {time.n_calls for time in whole.latency.values()} == {50}
    monkeypatch.setattr("tunecli.model_folder.results.TIMING_SECONDS", 0.0)
    slow = costs_of_model(model, made.store)
    assert ([*slow.latency], slow.n_untimed) == (["1"], n_rows)
    assert slow.latency["1"].n_calls == 5
    results = replace(results_of(made.trial, made.store, [made.refitted], 1), costs=slow)
    shown = card(model.facts, results, SUMMARY, model.n_weights)
    assert f"Larger batches were not timed: {n_rows} rows take more than" in shown
    assert "More rows" not in card(
        model.facts, replace(results, costs=whole), SUMMARY, model.n_weights
    )


@pytest.mark.parametrize("damage", ["flip", "truncate", "foreign", "missing"])
def test_a_damaged_packed_file_is_told_in_one_line(damage: str, tmp_path: Path) -> None:
    made = case("compressed")
    folder = tmp_path / "model"
    write_model(folder, made.refitted.model, {})
    path = folder / "weights-0.packed"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        changed = {"flip": bytes([content[0] ^ 1]) + content[1:], "truncate": content[:-20]}
        path.write_bytes(changed.get(damage, b"not a model"))
    with pytest.raises(ModelFolderError, match=r"is damaged or not a tunecli model") as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)
