"""`tunecli check`: what would fail is told at its line, with the parameters it fails with."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call_in

HEAD = "study: t\ndata: digits\noptimizer: AdamW\n"


@pytest.mark.parametrize(
    ("rest", "words", "told"),
    [
        ("model: vit_b_16\n", (), "t.yaml:4:8: model.vit_b_16: vit_b_16 takes square pictures"),
        (
            "model:\n  choice:\n    MLP: {}\n    vit_b_16: {}\n",
            (),
            "t.yaml:7:5: model.vit_b_16: vit_b_16 takes square pictures",
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
        assert ("    with model=vit_b_16" in following) == ("choice" in rest)
        assert "    with \n" not in shown


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("vit_b_16", "The only configuration would fail:"),
        ("{choice: [vit_b_16, maxvit_t]}", "All 2 configurations would fail:"),
        ("{choice: [MLP, Linear, vit_b_16]}", "1 of 3 configurations would fail:"),
    ],
)
def test_how_many_configurations_would_fail(tmp_path: Path, model: str, told: str) -> None:
    (tmp_path / "t.yaml").write_text(f"{HEAD}model: {model}\n")
    assert told in call_in(tmp_path, "check", "t.yaml", code=2).stdout


def test_a_limit_that_the_only_configuration_breaks(tmp_path: Path) -> None:
    text = f"{HEAD}model: MLP\nconstraints: {{n_weights: {{max: 10}}}}\n"
    (tmp_path / "t.yaml").write_text(text)
    shown = " ".join(call_in(tmp_path, "check", "t.yaml", code=1).stdout.split())
    assert "The only configuration breaks a limit because n_weights" in shown


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


LIMITED = """study: t
data: iris
model: {MLP: {width: {int: [4, 64]}}}
optimizer: AdamW
training: {epochs: 1}
validation: {folds: 2}
search: {trials: 2, parallel: 1, baselines: false}
constraints: {n_weights: %s}
"""


@pytest.mark.parametrize(
    ("limit", "code", "told"),
    [
        (
            "{max: 10}",
            1,
            "None of 2 configurations meets the limits. The smallest fails because n_weights",
        ),
        (
            "{min: 1e9}",
            1,
            "None of 2 configurations meets the limits. The smallest fails because n_weights",
        ),
        (
            "{min: 200, max: 400}",
            0,
            "meets the limits, but configurations between them may. The smallest fails",
        ),
        ("{max: 400}", 0, "1 of 2 configurations would break a limit. It fails because n_weights"),
        ("{max: 1e9}", 0, "OK: 2 configurations"),
    ],
)
def test_limits_that_nothing_keeps_end_check_and_search_alike(
    tmp_path: Path, limit: str, code: int, told: str
) -> None:
    (tmp_path / "t.yaml").write_text(LIMITED % limit)
    shown = " ".join(call_in(tmp_path, "check", "t.yaml", code=code).stdout.split())
    assert told in shown
    way = "Widen the ranges, or the limits in constraints."
    assert (way in shown) == bool(code)
    assert ("OK: 2" in shown) == (code == 0)
    if code:
        ended = call_in(tmp_path, "search", "t.yaml", "--quiet", code=code).stderr
        assert "Stopped: no trial met the limits. n_weights of" in " ".join(ended.split())
        assert way in " ".join(ended.split())


def test_the_base_width_of_mup_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(HEAD + "model: {MLP: {parametrization: mup}}\n")
    shown = " ".join(call_in(tmp_path, "check", "t.yaml").stdout.split())
    assert "mup base width 128: initial weights and learning rates follow the width" in shown
    (tmp_path / "t.yaml").write_text(HEAD + "model: MLP\n")
    assert "base width" not in call_in(tmp_path, "check", "t.yaml").stdout


def test_mup_with_sgd_is_refused_for_text_beside_numbers(tmp_path: Path) -> None:
    rows = [f"word{i % 7} and word{i % 5},{i / 7},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["note,size,y", *rows]) + "\n")
    model = "TransformerEncoder: {d_model: 8, nhead: 2, dim_feedforward: 16, parametrization: mup}"
    study = f"data: {{source: t.csv, target: y, text: note}}\nmodel: {{{model}}}\n"
    (tmp_path / "t.yaml").write_text(study + "optimizer: {SGD: {lr: 0.1}}\n")
    shown = " ".join(call_in(tmp_path, "check", "t.yaml", code=2).stdout.split())
    assert "SGD has no learning rate for a head on text and other columns. Use AdamW" in shown
    (tmp_path / "t.yaml").write_text(study + "optimizer: {AdamW: {lr: 0.01}}\n")
    assert "OK: " in call_in(tmp_path, "check", "t.yaml").stdout
