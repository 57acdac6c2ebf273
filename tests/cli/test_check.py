"""`tunecli check`: what would fail is told at its line, with the parameters it fails with."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call_in

HEAD = "study: t\ndata: iris\noptimizer: AdamW\n"


@pytest.mark.parametrize(
    ("rest", "words", "told"),
    [
        ("model: CNN\n", (), "t.yaml:4:8: model.CNN: CNN takes pictures"),
        (
            "model:\n  choice:\n    MLP: {}\n    CNN: {}\n",
            (),
            "t.yaml:7:5: model.CNN: CNN takes pictures",
        ),
        ("model: MLP\ntraining:\n  device: mps\n", (), "t.yaml:6:11: training.device: mps"),
        (
            "model: MLP\n",
            ("--set", "training.device=mps"),
            "--set training.device=mps: training.device: mps",
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "search"])
def test_what_cannot_be_trained_has_its_line(
    tmp_path: Path, command: str, rest: str, words: tuple[str, ...], told: str
) -> None:
    (tmp_path / "t.yaml").write_text(HEAD + rest)
    done = call_in(tmp_path, command, "t.yaml", *words, code=2)
    shown = done.stdout if command == "check" else done.stderr
    assert told in shown
    if command == "check":
        following = shown.partition(told)[2]
        assert ("    with model=CNN" in following) == ("choice" in rest)
        assert "    with \n" not in shown


@pytest.mark.parametrize(
    ("pruner", "told"),
    [
        (
            "{Hyperband: {min_resource: 9}}",
            "Hyperband has no effect: it prunes from evaluation 10 on, but a",
        ),
        (
            "{Median: {n_warmup_steps: 2}}",
            "Median has no effect: it prunes from evaluation 3 on, but a",
        ),
        ("{Hyperband: {min_resource: 1}}", ""),
        ("{Median: {n_warmup_steps: 1}}", ""),
    ],
)
def test_a_pruner_that_never_prunes_is_told(tmp_path: Path, pruner: str, told: str) -> None:
    rest = f"model: MLP\ntraining: {{epochs: 3}}\nsearch: {{pruner: {pruner}}}\n"
    (tmp_path / "t.yaml").write_text(HEAD + rest)
    shown = call_in(tmp_path, "check", "t.yaml").stdout
    assert ("has no effect" in shown) == bool(told)
    assert told in shown
