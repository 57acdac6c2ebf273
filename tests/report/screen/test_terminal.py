"""Golden reports of small studies, and what must never get through to a terminal."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from planted_studies import Plant, planted
from rich.console import Console, Group, RenderableType
from study_makers import adjustment_of, complete, made, mlp

from tunecli.database.records import StudyRecord, read_study
from tunecli.errors import DatabaseError
from tunecli.report.analysis.importance import Importance
from tunecli.report.export.study_export import study_json
from tunecli.report.findings.space.losing_options import isolations
from tunecli.report.phrases.wording import score
from tunecli.report.screen import terminal
from tunecli.report.screen.terminal import study_parts
from tunecli.report.screen.trial_report import render_trial
from tunecli.report.screen.trial_tables import importance_bars, isolation_table
from tunecli.training.outcome.evaluation import Baseline, TrialResult

HOSTILE = "\x1b]0;pwned\x07\x1b[2J[bold red]x[/bold red][/]\r\n\x9b31m\u202ee"


def render_study(study: StudyRecord, **options: Any) -> RenderableType:
    return Group(*study_parts(study, **options))


def text(renderable: RenderableType, width: int = 80, **options: bool) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(renderable, crop=False)
    return console.file.getvalue()


def lines(renderable: RenderableType) -> str:
    """Without the time of the last activity and spaces at the ends of lines."""
    shown = re.sub(
        r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d to \d\d:\d\d:\d\d)?", "TIME", text(renderable)
    )
    return "\n".join(line.rstrip() for line in shown.splitlines())


def test_an_empty_study(tmp_path: Path) -> None:
    assert (
        lines(render_study(read_study(made(tmp_path, []))))
        == """\
digits: maximize accuracy
trials      none yet

Next
  tunecli search studies/digits.yaml"""
    )


def test_reasons_are_counted_whatever_numbers_they_name(tmp_path: Path) -> None:
    reasons = [f"error: ValueError: no room for {n} rows" for n in (3, 40, 5)]
    reasons += [f"error: {letter}" for letter in "abcdef"]
    failed = [(mlp(0.1), TrialResult("failed", reason)) for reason in reasons]
    told = lines(render_study(read_study(made(tmp_path, failed))))
    assert "3 trials: error: ValueError: no room for 5 rows (see --trial 2)" in told
    assert "2 trials for other reasons" in told


ADJUSTED = """\
Model of trial 1
calibration temperature 1.83: log_loss 0.4121 → 0.3702, calibration error 0.0812
            → 0.0214 (cross-validated)
threshold   'yes' if its probability is at least 0.231: f1 0.4100 → 0.5200,
            cross-validated
     threshold  precision  recall  predicted positive
          0.05      0.100   0.950              60.0 %
0.231 (in use)      0.300   0.600              12.5 %
           0.5          –   0.000               0.0 %
operating points for 'yes', on 2,400 out-of-fold predictions of the search
"""


def test_the_model_of_a_trial_stands_with_its_threshold(tmp_path: Path) -> None:
    attributes = {"adjustment": asdict(adjustment_of(1))}
    trials = [(mlp(0.1), complete(0.9, 0.8)), (mlp(0.2), complete(0.95, 0.9))]
    study = read_study(made(tmp_path, trials, attributes=attributes))
    assert ADJUSTED in lines(render_study(study))
    assert ADJUSTED in lines(render_trial(study, 1))
    assert "Model of trial" not in lines(render_trial(study, 0))


def test_a_study_in_which_all_failed(tmp_path: Path) -> None:
    shape = TrialResult("failed", "error: RuntimeError: mat1 and mat2 cannot be multiplied")
    nan = TrialResult("diverged", "the training loss is not finite", seconds=2.0)
    study = read_study(made(tmp_path, [(mlp(0.1), result) for result in (shape, nan, shape)]))
    assert (
        lines(render_study(study))
        == """\
digits: maximize accuracy
trials      1 diverged · 2 failed
best        none yet: no trial is complete
time        2.0 s of training, last active TIME UTC
data        digits: 1,797 rows, 8 × 8 pictures, 10 classes
test        360 rows held out, 1,437 used for the search
validation  2 stratified folds
guessing    always the commonest class: accuracy 0.1012

Findings
  ! 2 of 3 trials failed: RuntimeError: mat1 and mat2 cannot be multiplied.
    see --trial 2
    More findings appear after 15 complete trials.

What went wrong
failed      2 trials: error: RuntimeError: mat1 and mat2 cannot be multiplied
            (see --trial 2)
diverged    1 trial: the training loss is not finite (see --trial 1)

Next
  tunecli check studies/digits.yaml
  tunecli search studies/digits.yaml --trials 6"""
    )


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_study_file_is_printed_as_it_is_to_be_copied(tmp_path: Path, width: int) -> None:
    study = read_study(made(tmp_path, [(mlp(0.01), complete(0.95, 0.97))]))
    file = f"study: digits-0\noptimizer: {{AdamW: {{lr: 0.01, betas: [{'0.9, ' * 20}0.99]}}}}\n"
    assert f"\n{file}" in text(render_study(study, study_file=file), width)
    assert f"\n{file}" in text(render_trial(study, 0, file), width)


def test_the_head_tells_of_baselines_and_the_json_of_all_they_have(tmp_path: Path) -> None:
    linear = Baseline("logistic regression", (0.9, 0.92), 0.5, {"f1": 0.9})
    told = {"baselines": [asdict(linear)]}
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9))], attributes=told))
    assert study.baselines == (linear,)
    assert "\nbaselines   logistic regression 0.9100 (0.50 s)\n" in lines(render_study(study))
    whole = json.loads(study_json(study))
    assert whole["baselines"] == [asdict(linear) | {"fold_scores": [0.9, 0.92]}]


def test_damaged_baselines_are_told(tmp_path: Path) -> None:
    url = made(tmp_path, [], attributes={"baselines": [{"name": 3}]})
    with pytest.raises(DatabaseError, match="baselines"):
        read_study(url)


def test_a_study_of_one_trial(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.01), complete(0.95, 0.97))]))
    shown = lines(
        render_study(study, study_file="study: digits-0\nmodel: MLP\n", options="--runs x")
    )
    assert (
        shown
        == """\
digits: maximize accuracy
trials      1 complete
time        4.1 s of training, last active TIME UTC
data        digits: 1,797 rows, 8 × 8 pictures, 10 classes
test        360 rows held out, 1,437 used for the search
validation  2 stratified folds
guessing    always the commonest class: accuracy 0.1012

Findings
    More findings appear after 15 complete trials.

Best: trial 0
mean score  accuracy 0.9600 ± 0.0141 over 2 folds
expected    0.9600 (95 %: 0.9370 to 0.9830) on the 360 test rows
folds       0.9500  0.9700
metrics     f1 0.5000
cost        4.1 s, 1,234 weights, 256 MiB peak, scored at evaluation 3 of 3
parameters  width=32 optimizer=AdamW lr=0.01
accuracy    ▁▅█  0.5543 → 0.9600
train loss  █▄▁  1.423 → 1.000

Study file that repeats the best trial
study: digits-0
model: MLP

Top 1 of 1 complete trial
trial  accuracy          time  parameters
    0  0.9600 ± 0.0141  4.1 s  width=32 optimizer=AdamW lr=0.01

Parameter importance over 1 complete trial
  10 complete trials are needed; this study has 1

Next
  tunecli report digits --runs x --trial 0
  tunecli report digits --runs x --html digits.html
  tunecli refit digits --runs x
  tunecli search studies/digits.yaml --trials 2 --runs x"""
    )


def branches(folder: Path) -> StudyRecord:
    trials = [
        (
            mlp(0.1 / (n + 1), 32, ("SGD", "AdamW")[n % 2]),
            complete(0.9 + n / 500, 0.91 + n / 500 + n % 2 / 250),
        )
        for n in range(12)
    ]
    edit = {"first_trial": 5, "changes": ["search.trials: 5 -> 12"]}
    return read_study(made(folder, trials, attributes={"edits": [edit]}))


def test_a_study_with_branches(tmp_path: Path) -> None:
    shown = lines(render_study(branches(tmp_path), top=4))
    assert "edited      from trial 5: search.trials: 5 -> 12\n" in shown
    others = "none practically equal (within 0.0025), 10 not distinguished, 1\n            worse"
    assert f"others      {others}\n" in shown
    assert (
        """
Top 4 of 12 complete trials
shared: width=32
trial  accuracy            time  parameters
   11  0.9290 ± 0.0099    4.1 s  optimizer=AdamW lr=0.00833
    9  0.9250 ± 0.0099 ?  4.1 s  optimizer=AdamW lr=0.01
   10  0.9250 ± 0.0071 ?  4.1 s  optimizer=SGD lr=0.00909
    7  0.9210 ± 0.0099 ?  4.1 s  optimizer=AdamW lr=0.0125
? not distinguished from the best: may be practically equal or worse

Parameter importance over 12 complete trials
  optimizer."""
        in shown
    )


def test_one_trial(tmp_path: Path) -> None:
    failed = TrialResult(
        "failed", "error: boo", traceback="Traceback:\n\tboo\x1b[31m", seconds=3.0
    )
    study = read_study(made(tmp_path, [(mlp(0.01), complete(0.95, 0.97)), (mlp(0.1), failed)]))
    assert (
        lines(render_trial(study, 0, "study: digits-0\n"))
        == """\
Trial 0 of digits: complete
mean score  accuracy 0.9600 ± 0.0141
folds       0.9500  0.9700
metrics     f1 0.5000
cost        4.1 s, 1,234 weights, 256 MiB peak, scored at evaluation 3 of 3
when        TIME UTC
by          worker 0, attempt 1
accuracy    ▁▅█  0.5543 → 0.9600
train loss  █▄▁  1.423 → 1.000

  parameter           value  from
  model.MLP.width     32     8 to 256, log
  optimizer           AdamW  SGD, AdamW, none
  optimizer.AdamW.lr  0.01   0.0001 to 1, log

Study file that repeats this trial
study: digits-0"""
    )
    assert lines(render_trial(study, 1)).splitlines()[:3] == [
        "Trial 1 of digits: failed",
        "reason      error: boo",
        "cost        3.0 s",
    ]
    assert lines(render_trial(study, 1)).splitlines()[-3:] == [
        "Traceback",
        "Traceback:",
        r"    boo\x1b[31m",
    ]


def hostile(folder: Path) -> StudyRecord:
    odd = {HOSTILE: (HOSTILE, CategoricalDistribution([HOSTILE, "b"]))}
    failed = TrialResult("failed", HOSTILE, traceback=HOSTILE)
    trials = [
        *((odd, complete(0.9 + n / 100, 0.9, metrics={HOSTILE: 1.0})) for n in range(10)),
        (odd, complete(0.7, 0.8)),
        (odd, failed),
        (odd, None),
    ]
    attributes = {
        "file": HOSTILE,
        "objective": {"metric": HOSTILE, "direction": "maximize"},
        "edits": [{"first_trial": HOSTILE, "changes": [HOSTILE]}],
        "adjustment": asdict(adjustment_of(0, HOSTILE)),
    }
    return read_study(made(folder, trials, name=HOSTILE, attributes=attributes))


@pytest.mark.parametrize("on_terminal", [False, True])
def test_nothing_from_the_database_reaches_the_terminal_raw(
    tmp_path: Path, on_terminal: bool
) -> None:
    study = hostile(tmp_path)
    shown = "".join(
        text(renderable, force_terminal=on_terminal)
        for renderable in (
            render_study(study, study_file=HOSTILE),
            *(render_trial(study, number, HOSTILE) for number in (0, 11, 12)),
        )
    )
    ours = re.compile(r"\x1b\[[\d;]*m")  # rich's colours, and no other sequence
    assert ours.search(shown) or not on_terminal
    left = ours.sub("", shown)
    assert not [letter for letter in left if not letter.isprintable() and letter != "\n"]
    assert "[bold" in left
    assert "\x1b[31m" not in shown


def test_brackets_are_no_markup(tmp_path: Path) -> None:
    name = "[b]x[/]"
    odd = {name: (name, CategoricalDistribution([name]))}
    objective = {"metric": name, "direction": "maximize"}
    url = made(
        tmp_path, [(odd, complete(0.9, 0.8))] * 2, name=name, attributes={"objective": objective}
    )
    shown = text(render_study(read_study(url), study_file=name))
    assert shown.count("[b]x") == shown.count("[/]") == 14
    assert text(render_trial(read_study(url), 0)).count(name) == 6


@pytest.mark.parametrize("width", [80, 120, 40])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    long = {
        f"model.MLP.a_rather_long_name_of_a_parameter_{n}": (
            "a rather long value " * 5,
            CategoricalDistribution(["a rather long value " * 5]),
        )
        for n in range(9)
    }
    study = read_study(made(tmp_path, [(long, complete(0.9, 0.8))] * 12))
    for renderable in (render_study(study), render_trial(study, 0)):
        assert max(map(len, text(renderable, width).splitlines())) <= width


def test_colours_only_on_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = render_study(branches(tmp_path))
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    colour = re.compile(r"\x1b\[(\d+;)*3\d")
    assert "\x1b" not in text(report)
    assert colour.search(text(report, force_terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(text(report, force_terminal=True))


def test_what_runs_or_was_interrupted_is_said(tmp_path: Path) -> None:
    study = read_study(made(tmp_path / "one", [(mlp(0.1), None)]))
    assert (
        lines(render_study(study)).splitlines()[1:5]
        == """\
trials      1 running
running     trial 0; if it was interrupted, the next search resumes it
best        none yet: no trial is complete
time        last active TIME UTC""".splitlines()
    )
    assert lines(render_trial(study, 0)).startswith("Trial 0 of digits: running or interrupted\n")
    trials = [(mlp(0.1), complete(0.9, 0.9)), *[(mlp(0.1), None)] * 10]
    shown = lines(render_study(read_study(made(tmp_path / "many", trials))))
    assert "trials      1 complete · 10 running\n" in shown
    assert "running     trials 1, 2, 3, 4, 5, 6, 7, 8 and 2 more; if" in shown
    assert "none yet" not in shown
    # a total of twice the trials would be a strange way to take the interrupted ones up
    assert shown.endswith("\n  tunecli search studies/digits.yaml")


def test_the_next_search_of_a_renamed_study_names_it(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9, 0.9))]))
    file = "tunecli search studies/digits.yaml"
    for overrides, command in (
        (("training.epochs=3",), f"{file} --trials 2"),
        (("training.epochs=3", "study=digits"), f"{file} --as digits --trials 2"),
    ):
        shown = lines(render_study(replace(study, overrides=overrides)))
        assert shown.endswith(f"\n  {command}")


def test_pruned_trials_alone_are_no_result(tmp_path: Path) -> None:
    pruned = TrialResult("pruned", "worse than the median", value=0.3, best_step=1, seconds=2.0)
    shown = lines(render_study(read_study(made(tmp_path, [(mlp(0.1), pruned)] * 2))))
    assert "trials      2 pruned\nbest        none yet: no trial is complete\n" in shown
    assert shown.endswith("\nNext\n  tunecli search studies/digits.yaml --trials 4")


STUDY_FILE = """data: digits
model: MLP
optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}
training: {l1: {float: [1e-8, 1e-4], log: true, or: 0}}
"""
GATE = {"training.l1.or": (True, CategoricalDistribution((False, True)))}
OPEN = {
    "training.l1.or": (False, CategoricalDistribution((False, True))),
    "training.l1": (1e-6, FloatDistribution(1e-8, 1e-4, log=True)),
}


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"study_file": STUDY_FILE}, "0"),
        ({"study_file": STUDY_FILE, "overrides": ["training.l1.or=1e-3"]}, "0.001"),
        (
            {
                "study_file": STUDY_FILE,
                "edits": [
                    {"changes": [], "study_file": STUDY_FILE.replace("or: 0", "or: 2e-5")},
                    {"changes": [], "first_trial": 3},
                ],
            },
            "2e-05",
        ),
        ({"study_file": "model: [", "overrides": []}, "off"),
        ({"study_file": "data: digits"}, "off"),
        ({}, "off"),
    ],
)
def test_a_range_that_took_its_other_value_shows_it(
    tmp_path: Path, attributes: dict[str, object], shown: str
) -> None:
    trials = [(mlp(0.1) | GATE, complete(0.9, 0.9)), (mlp(0.1) | OPEN, complete(0.8, 0.8))]
    study = read_study(made(tmp_path, trials, attributes=attributes))
    report = lines(render_study(study))
    assert f"parameters  width=32 optimizer=AdamW lr=0.1 l1={shown}\n" in report
    assert f"    0  0.9000 ± 0.0000  4.1 s  l1={shown}\n" in report
    assert "    1  0.8000 ± 0.0000  4.1 s  l1=1e-06\n" in report
    assert re.search(rf"\n  training.l1 +{shown} +its `or:`$", lines(render_trial(study, 0)))
    last = lines(render_trial(study, 1)).splitlines()[-1]
    assert re.fullmatch(rf"  training.l1 +1e-06 +1e-08 to 0.0001, log, or {shown}", last)


def test_what_hardly_counts_is_only_counted() -> None:
    values = {f"p{n}": value for n, value in enumerate([0.5, 0.46] + [0.002] * 10 + [0.0] * 9)}
    shown = text(importance_bars(values)).splitlines()
    assert [line.split()[0] for line in shown[:10]] == [f"p{n}" for n in range(10)]
    assert [line.strip() for line in shown[10:]] == ["and 11 others below 1%"]
    evenly = {f"p{n}": 0.05 for n in range(20)}
    assert len(text(importance_bars(evenly)).splitlines()) == 20


def test_all_findings_are_shown_if_wished(tmp_path: Path) -> None:
    study = branches(tmp_path)
    few, everything = lines(render_study(study)), lines(render_study(study, everything=True))
    assert re.search(r"\n    \d more findings? with --all\n", few)
    assert "--all" not in everything
    assert len(everything.splitlines()) > len(few.splitlines())


def test_what_a_compression_left_out_stands_with_the_trial(tmp_path: Path) -> None:
    told = "share was skipped: it would not make the file smaller"
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9, reason=told))]))
    assert f"note        {told}" in lines(render_study(study))
    assert f"note        {told}" in lines(render_trial(study, 0))


def test_long_names_of_options_leave_room_for_their_figures() -> None:
    name = "networks/tabular.py:GatedResidualNetwork"
    evidence = planted(Plant(optimizers={name: 0.0, "AdamW": 0.0}), 0)
    (found,) = isolations(evidence)
    shown = text(isolation_table([found], {}))
    for branch in found.branches:
        assert f"{score(branch.low)} to {score(branch.high)})" in shown
    assert "networks/tabular.py:Gate…" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_curves_and_choices_are_drawn(tmp_path: Path) -> None:
    shown = lines(render_study(branches(tmp_path)))
    assert re.search(r"\n    AdamW +0\.9290  too few trials +6 of 6\n", shown)
    assert "Validation accuracy" not in shown  # three evaluations are no curve


def test_what_was_found_is_there_before_the_importance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading what computes it takes longer than all the rest."""

    def importance(study: StudyRecord) -> Importance:
        raise ImportError(f"{study.name} without optuna")

    monkeypatch.setattr(terminal, "importance", importance)
    study = branches(tmp_path)
    shown: list[RenderableType] = []
    with pytest.raises(ImportError, match="optuna"):
        shown.extend(study_parts(study))
    assert (
        text(Group(*shown))
        .rstrip()
        .endswith("? not distinguished from the best: may be practically equal or worse")
    )


GUESS = [Baseline("commonest class", (0.5, 0.5))]


@pytest.mark.parametrize(
    ("values", "baselines", "is_offered"),
    [
        ([0.8 + 0.002 * n for n in range(24)], GUESS, True),
        ([0.9, *[0.8] * 23], GUESS, False),  # since the first trial, nothing improved
        ([0.4 + 0.002 * n for n in range(24)], GUESS, False),
        ([0.4, 0.41, 0.42], GUESS, False),
        ([0.6, 0.61, 0.62], GUESS, True),
    ],
)
def test_more_trials_are_offered_only_where_no_finding_advises_against_them(
    tmp_path: Path, values: list[float], baselines: list[Baseline], is_offered: bool
) -> None:
    trials = [(mlp(0.1), complete(value, value + 0.001)) for value in values]
    study = replace(read_study(made(tmp_path, trials)), baselines=tuple(baselines))
    told, _, following = lines(render_study(study)).partition("\nNext\n")
    assert ("tunecli search" in following) == is_offered
    advised = "instead of adding trials" in told or "before you run more trials" in told
    assert advised != is_offered
    if not is_offered:  # an interrupted search is to be finished or not, as its user likes
        under_way = [*trials, (mlp(0.1), None)]
        study = replace(read_study(made(tmp_path / "on", under_way)), baselines=tuple(baselines))
        assert lines(render_study(study)).endswith("\n  tunecli search studies/digits.yaml")


def test_a_study_without_parameters_has_no_line_for_them(tmp_path: Path) -> None:
    for params, is_shown in ((mlp(0.1), True), ({}, False)):
        url = made(tmp_path / str(is_shown), [(params, complete(0.9, 0.9))])
        assert ("\nparameters  " in text(render_study(read_study(url)))) == is_shown
