"""The screen of a running search, on a terminal and in a log."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from locations import TESTS
from rich.console import Console
from study_makers import SUMMARY

from tunecli.report.live.live import LiveView
from tunecli.report.live.search_panel import live_panel
from tunecli.report.live.search_state import SearchState
from tunecli.search.events.events import (
    BaselinesAwaited,
    BaselinesScored,
    DataDescribed,
    Ending,
    Notice,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialEvaluated,
    TrialFinished,
    TrialPlaced,
    TrialStarted,
    Waiting,
)
from tunecli.training.outcome.evaluation import Baseline

HOSTILE = "\x1b]0;pwned\x07[bold]x[/bold][/]\r\n\x9b31m"
PARAMS = {"model": "MLP", "optimizer.AdamW.lr": 0.001234, "schedule": None}
STARTED = SearchStarted(
    "digits", "runs/digits/study.db", "accuracy", "maximize", 0, 3, n_jobs=1, parallel=8
)


def finished(number: int, value: float | None = 0.9, **changes: object) -> TrialFinished:
    values = {"outcome": "complete", "reason": "", "spread": 0.01, "seconds": 4.1}
    values |= {"params": PARAMS, "is_best": False} | changes
    return TrialFinished(number=number, value=value, **values)


def search(ending: Ending = "done") -> list[SearchEvent]:
    """Three trials: the best, a worse one, a failed one."""
    events: list[SearchEvent] = [STARTED, DataDescribed(SUMMARY)]
    ends = [
        finished(0, 0.9763, is_best=True, fold_scores=(0.9663, 0.9863)),
        finished(1, 0.8, outcome="pruned", reason="worse than the median"),
        finished(2, None, outcome="failed", reason="out of memory", spread=None),
    ]
    for number, end in enumerate(ends):
        events.append(TrialStarted(number, PARAMS, 3))
        events += [TrialEvaluated(number, step, 0.5, 0.5) for step in range(3)]
        events.append(end)
    return [*events, SearchEnded(ending, 3, 3)]


def log(events: list[SearchEvent], seconds: float = 0.1, **options: object) -> str:
    """What a file gets; each event takes `seconds`."""
    console = Console(file=io.StringIO())
    times = iter(range(10**9))
    clock = lambda: next(times) * seconds  # noqa: E731
    with LiveView(console, clock=clock, n_cores=1, **options) as view:
        for event in events:
            view.show(event)
    return console.file.getvalue()


def test_a_log_tells_of_baselines_in_one_line() -> None:
    found = (
        Baseline("commonest class", (0.1, 0.1), 0.01),
        Baseline("logistic regression", (0.95, 0.97), 0.52),
        Baseline("gradient-boosted trees", (), note="it would take 31 s"),
    )
    told = "baselines   logistic regression 0.9600 (0.52 s); gradient-boosted trees skipped: it"
    events = [*search()[:4], BaselinesScored(found), *search()[4:]]
    assert f"\n{told} would take 31 s\n" in log(events)
    assert "baselines" not in log(events, quiet=True)
    assert "baselines" not in log([STARTED, BaselinesScored(found[:1]), *search()[1:]])


def test_a_log() -> None:
    shown = re.sub(r"in [\d.]+ s$", "in TIME", log(search()), flags=re.MULTILINE)
    shown = re.sub(r"\d+( s)? to \d+ s left", "TIME left", shown)
    assert (
        shown
        == """\
digits: maximize accuracy, 3 trials, 1 at a time
data        digits: 1,797 rows, 8 × 8 pictures, 10 classes
test        360 rows held out, 1,437 used for the search
validation  2 stratified folds
guessing    always the commonest class: accuracy 0.1012
trial 0  complete    accuracy 0.9763 ± 0.0100  (best)  4.1 s  model=MLP lr=0.001234 schedule=none
time        TIME left for 2 trials
trial 1  pruned      accuracy 0.8000 ± 0.0100  worse than the median  4.1 s  model=MLP \
lr=0.001234 schedule=none
trial 2  failed      out of memory  4.1 s  model=MLP lr=0.001234 schedule=none

digits is finished: 3 of 3 trials done.
trials      1 complete · 1 pruned · 1 failed, in TIME
best        trial 0, accuracy 0.9763 ± 0.0100
            model=MLP lr=0.001234 schedule=none
next        tunecli report digits
            tunecli report digits --trial 0
"""
    )


def test_a_range_that_took_its_other_value_shows_it() -> None:
    off = {"model": "MLP", "training.l1.or": True}
    started = replace(STARTED, gates={"training.l1": 0})
    shown = log([started, finished(0, params=off, is_best=True), SearchEnded("done", 1, 1)])
    assert shown.count("model=MLP l1=0\n") == 2
    state = SearchState()
    for event in (started, DataDescribed(SUMMARY), finished(0, params=off, is_best=True)):
        state.update(event, 0.0)
    assert panel_text(state, 1.0).endswith("model=MLP l1=0")


@pytest.mark.parametrize("sent", [0.0, None])
def test_a_single_fold_has_no_spread(sent: float | None) -> None:
    one_fold = DataDescribed(replace(SUMMARY, n_folds=1))
    events = [STARTED, one_fold, finished(0, 0.9, spread=sent, is_best=True)]
    shown = log([*events, SearchEnded("done", 1, 1)])
    assert "accuracy 0.9000  (best)" in shown
    assert "best        trial 0, accuracy 0.9000\n" in shown
    state = SearchState()
    for event in events:
        state.update(event, 0.0)
    assert "accuracy 0.9000  trial 0" in panel_text(state, 1.0)


def test_equal_folds_have_a_spread_of_nothing() -> None:
    events = [STARTED, DataDescribed(SUMMARY), finished(0, 0.9, spread=0.0, is_best=True)]
    assert "accuracy 0.9000 ± 0.0000  (best)" in log(events)


def test_the_cores_are_those_that_workers_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    console = Console(file=io.StringIO())
    with LiveView(console, clock=iter(range(0, 10**6, 1000)).__next__) as view:
        for event in search():
            view.show(event)
    assert "`--jobs 6`" in console.file.getvalue()


def test_quiet_shows_only_the_end() -> None:
    assert log(search(), quiet=True).startswith("\ndigits is finished: 3 of 3 trials done.\n")


@pytest.mark.parametrize(
    ("ending", "sentence", "advice"),
    [
        ("done", "digits is finished: 3 of 3 trials done.", "tunecli report digits"),
        ("timeout", "Time is up: 3 of 3 trials done.", "run the same command to resume"),
        (
            "interrupted",
            "Interrupted: 3 of 3 trials done. The next search resumes those that were running.",
            "run the same command to resume",
        ),
        (
            "exhausted",
            "Search space exhausted: every configuration was tried, 3 of 3 trials done.",
            "tunecli report digits",
        ),
    ],
)
def test_endings(ending: Ending, sentence: str, advice: str) -> None:
    shown = log(search(ending), quiet=True).splitlines()
    assert shown[1] == sentence
    assert f"next        {advice}" in shown


def test_without_parameters_no_line_follows_the_best_trial() -> None:
    for params, n_lines in ((PARAMS, 1), ({}, 0)):
        events = [STARTED, finished(0, 0.9, is_best=True, params=params)]
        shown = log([*events, SearchEnded("done", 1, 1)], quiet=True)
        after = shown.partition("best        trial 0")[2].partition("\nnext")[0].splitlines()[1:]
        assert len([line for line in after if "lr=" in line or not line.strip()]) == n_lines


def test_a_search_that_failed_says_of_what() -> None:
    events = [STARTED, SearchEnded("failing", 3, 3, "Each ran out of memory.", "failed")]
    assert "Stopped: all trials failed. Each ran out of memory.\n" in log(events)


def test_a_finished_study_says_how_to_go_on() -> None:
    earlier = (finished(0, 0.9, is_best=True), finished(1), finished(2))
    events = [replace(STARTED, n_done=3, earlier=earlier), SearchEnded("done", 3, 3)]
    shown = log(events, options="--runs elsewhere")
    assert "digits is already finished: 3 of 3 trials done.\n" in shown
    assert "next        add --trials 6 to run more trials\n" in shown
    assert "            tunecli report digits --runs elsewhere\n" in shown
    assert "best        trial 0, accuracy 0.9000 ± 0.0100\n" in shown


def test_what_was_interrupted_and_edited_is_said() -> None:
    started = replace(STARTED, n_done=1, adopted=(1, 2), changes=("search.trials: 2 -> 3",))
    assert log([started, Notice("Mind the gap.")]).splitlines() == [
        "digits: maximize accuracy, 1 of 3 trials done, 1 at a time",
        "Resuming trials 1, 2, which were interrupted.",
        "Changed: search.trials: 2 -> 3",
        "Mind the gap.",
    ]


def test_a_log_line_holds_the_whole_configuration_and_little_of_a_reason() -> None:
    params = {f"parameter_{n}": n for n in range(50)}
    events = [
        STARTED,
        finished(0, 0.5, params=params, is_best=True),
        finished(1, None, outcome="failed", reason="r" * 5000, params=params),
    ]
    shown = log(events).splitlines()
    assert len(shown) == 4
    assert all(line.endswith("parameter_49=49") for line in (shown[1], shown[3]))
    assert shown[3].count("r" * 50) == 1


def test_a_log_gets_an_estimate_after_one_trial_five_and_each_tenth() -> None:
    events: list[SearchEvent] = [replace(STARTED, n_total=100)]
    for number in range(100):
        events += [TrialStarted(number, PARAMS, 3), finished(number)]
    lines = log(events, seconds=10.0).splitlines()
    estimates = [
        int(lines[at - 1].split()[1]) for at, line in enumerate(lines) if line.startswith("time ")
    ]
    assert estimates == [0, 4, 14, 24, 34, 44, 54, 64, 74, 84, 94]
    first, second, *_ = (line for line in lines if line.startswith("time "))
    assert re.fullmatch(r"time        \d+ min to [\d.]+ h left for 99 trials", first)
    assert re.fullmatch(r"time        about \d+ min left for 95 trials", second)


def test_a_long_search_gets_its_advice_once() -> None:
    assert log(search(), seconds=1000.0).count("To make the search faster, ") == 1
    assert "To make the search faster" not in log(search(), seconds=1.0)


def test_a_slow_first_trial_has_a_time_and_the_search_has_none() -> None:
    slow = [e for e in search() if not isinstance(e, TrialFinished)][:5]
    shown = log(slow, seconds=60.0)
    assert re.search(
        r"^time        trial 0 needs at most about \d+ min more at this pace; "
        r"no estimate of the search until a trial ends$",
        shown,
        re.MULTILINE,
    )
    assert " left for " not in shown
    assert "at this pace" not in log(slow, seconds=0.1)


def test_a_log_says_what_takes_long_before_the_first_trial() -> None:
    waits = [Waiting("reading the data"), Waiting("reading the data", 5.1)]
    assert log([*waits, STARTED]).splitlines()[0] == "reading the data …"
    assert log([waits[0], STARTED]).splitlines()[0].startswith("digits: ")
    state = SearchState()
    state.update(waits[0], 0.0)
    assert panel_text(state, 0.0) == "reading the data …"


def test_the_panel_says_what_a_trial_waits_for() -> None:
    state = SearchState()
    state.update(STARTED, 0.0)
    state.update(DataDescribed(SUMMARY), 0.0)
    state.update(TrialStarted(0, PARAMS, 4), 0.0)
    state.update(BaselinesAwaited(("ridge regression", "gradient-boosted trees"), 14.0), 0.0)
    assert "0/4        first evaluation …" in panel_text(state, 1.0)
    state.update(finished(0), 2.0)
    state.update(TrialStarted(1, PARAMS, 4), 2.0)
    assert "0/4        baselines first, about 15 s …" in panel_text(state, 3.0)
    state.update(BaselinesAwaited((), 0.0), 9.0)
    assert "0/4        first evaluation …" in panel_text(state, 9.0)


def test_the_panel_says_which_node_trains_a_trial() -> None:
    state = SearchState()
    for event in (STARTED, DataDescribed(SUMMARY), TrialStarted(0, PARAMS, 4)):
        state.update(event, 0.0)
    assert "node" not in panel_text(state, 1.0)
    state.update(TrialPlaced(0, "gpu-7"), 1.0)
    assert "first evaluation …, node gpu-7" in panel_text(state, 1.0)
    state.update(TrialPlaced(9, "gpu-7"), 1.0)  # it has ended meanwhile


def hostile_events() -> list[SearchEvent]:
    started = replace(STARTED, study=HOSTILE, objective=HOSTILE, changes=(HOSTILE,))
    summary = replace(
        SUMMARY, source=HOSTILE, validation=HOSTILE, guess={HOSTILE: 0.5}, notes=(HOSTILE,)
    )
    params = {HOSTILE: HOSTILE}
    return [
        started,
        DataDescribed(summary),
        Notice(HOSTILE),
        TrialStarted(0, params, 3),
        TrialStarted(1, params, 3),
        TrialPlaced(1, HOSTILE),
        TrialEvaluated(0, 0, 0.5, 0.5),
        TrialEvaluated(1, 0, 0.5, 0.5),
        finished(0, 0.5, params=params, is_best=True, reason=HOSTILE),
        SearchEnded("failing", 1, 3, HOSTILE),
    ]


def test_a_log_has_no_control_characters() -> None:
    for shown in (log(hostile_events()), log(search())):
        assert not [letter for letter in shown if not letter.isprintable() and letter != "\n"]


def test_the_panel_has_no_foreign_control_characters() -> None:
    state = SearchState()
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    for event in hostile_events():
        state.update(event, 0.0)
        console.print(live_panel(state, 1.0, 24))
    left = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
    assert not [letter for letter in left if not letter.isprintable() and letter != "\n"]


@pytest.mark.parametrize("n_running", [0, 1, 2, 8, 40])
def test_the_panel_fits_the_terminal(n_running: int) -> None:
    state = SearchState()
    state.update(replace(STARTED, n_total=100, n_jobs=n_running, parallel=100), 0.0)
    state.update(DataDescribed(SUMMARY), 0.0)
    params = {f"model.MLP.parameter_{n}": 0.123456 for n in range(30)}
    state.update(finished(0, 0.9, params=params, is_best=True), 0.0)
    for number in range(1, 60):
        state.update(TrialStarted(number, params, 20), 0.0)
    for number in range(1, n_running + 1):
        state.update(TrialEvaluated(number, 4, 0.5, 0.5), 3.0)
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(live_panel(state, 4.0, 24))
    shown = console.file.getvalue().splitlines()
    assert len(shown) < 24
    assert max(map(len, shown)) <= 80
    # trials that wait for a worker have no bar
    bars = sum("trial " in line and "/20" in line for line in shown)
    more = [int(n) for n in re.findall(r"and (\d+) more", "\n".join(shown))]
    assert bars + sum(more) == n_running
    assert bars >= min(n_running, 8)
    assert ("5/20" in "\n".join(shown)) == (n_running > 0)


def panel_text(state: SearchState, now: float) -> str:
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(live_panel(state, now, 24))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_the_panel() -> None:
    state = SearchState()
    assert panel_text(state, 0.0) == "starting …"
    state.update(replace(STARTED, n_total=4, n_jobs=2), 0.0)
    assert panel_text(state, 0.0) == "\nstarting …"
    state.update(DataDescribed(SUMMARY), 0.0)
    for number in range(4):
        state.update(TrialStarted(number, PARAMS, 4), 0.0)
    assert "0/4        0 s\n" in panel_text(state, 0.4)
    for step in range(4):
        state.update(TrialEvaluated(0, step, 0.9, 0.9), 60.0)
    state.update(finished(0, 0.9, is_best=True), 61.0)
    state.update(TrialEvaluated(1, 0, 0.75, 0.75), 75.0)
    assert (
        panel_text(state, 75.0)
        == """

trials      ━━━━━━                    1/4        1 min 15 s, 30 s to 5 min left
            1 complete · 2 running

trial 1     ━━━━━━                    1/4        accuracy 0.7500
trial 2                               0/4        first evaluation …

best        accuracy 0.9000 ± 0.0100  trial 0
            model=MLP lr=0.001234 schedule=none""".removeprefix("\n")
    )


SCRIPT = """
import sys, time
sys.path[:0] = sys.argv[2:]
from rich.console import Console
from tunecli.report.live.live import LiveView
from test_live import search
try:
    with LiveView(Console(stderr=True)) as view:
        for event in search()[:11]:
            view.show(event)
        time.sleep(0.6)
        if sys.argv[1] == "interrupt":
            print("READY", flush=True)
            time.sleep(30)
        for event in search()[11:]:
            view.show(event)
except KeyboardInterrupt:
    print("STOPPED", flush=True)
"""


def on_terminal(how: str, **environment: str) -> str:
    """What a terminal of 80 columns gets on standard error; standard output beside it."""
    master, slave = pty.openpty()
    variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    variables |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, how, os.path.dirname(__file__), str(TESTS)],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=variables,
        text=True,
    ) as process:
        os.close(slave)
        if how == "interrupt":
            assert process.stdout.readline() == "READY\n"
            process.send_signal(signal.SIGINT)
        received = b""
        try:
            while chunk := os.read(master, 4096):
                received += chunk
        except OSError:  # Linux's end of a terminal
            pass
        expected = "STOPPED\n" if how == "interrupt" else ""
        assert process.stdout.read() == expected
        assert process.wait() == 0
    os.close(master)
    return received.decode()


def test_on_a_terminal_there_is_a_panel_and_it_is_gone_at_the_end() -> None:
    shown = on_terminal("finish")
    assert "━" in shown
    assert re.search(r"trial 1 .*━.*3/3", shown)
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")
    end = shown[shown.rindex("\x1b[?25h") :]
    assert "digits is finished" in end
    assert "━" not in end


def test_ctrl_c_gives_the_cursor_back() -> None:
    shown = on_terminal("interrupt")
    assert "\x1b[?25l" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_no_color_is_respected() -> None:
    colour = re.compile(r"\x1b\[(\d+;)*3\d")
    assert colour.search(on_terminal("finish"))
    assert not colour.search(on_terminal("finish", NO_COLOR="1"))


def test_a_dumb_terminal_gets_a_log() -> None:
    shown = on_terminal("finish", TERM="dumb")
    assert "\x1b" not in shown
    assert "trial 0  complete" in shown


def test_thousands_of_events_are_quick_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with LiveView(console) as view:
        view.show(replace(STARTED, n_total=10_000))
        view.show(DataDescribed(SUMMARY))
        begun = time.perf_counter()
        for number in range(2000):
            view.show(TrialStarted(number, PARAMS, 3))
            for step in range(3):
                view.show(TrialEvaluated(number, step, 0.5, 0.5))
            view.show(finished(number))
        seconds = time.perf_counter() - begun
    # drawn by the clock, not by the event: far fewer frames than events
    assert console.file.getvalue().count("trials ") < 20 + 10 * seconds


def test_an_interruption_before_the_data_is_known_is_said() -> None:
    console = Console(file=io.StringIO(), width=80)
    with LiveView(console) as view:
        view.show(SearchEnded("interrupted", 0, 50))
    shown = console.file.getvalue()
    assert "Interrupted while reading the data." in shown
    assert "run the same command to resume" in shown
