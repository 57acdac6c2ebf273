"""Every way in which a trial can end badly, with real processes (10 of the issue's table)."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

import pytest
from commands import environment, run_in

from tunecli.database.records import StudyRecord, TrialRecord, read_study
from tunecli.database.urls import sqlite_url

pytestmark = pytest.mark.slow

FAULTY = str(Path(__file__).with_name("faulty.py"))

STUDY = """
data: iris
validation: {{folds: 2}}
model: {{MLP: {{width: {{int: [4, 128]}}, depth: 1}}}}
optimizer: {{AdamW: {{lr: {{float: [1e-3, 1e-1], log: true}}}}}}
training: {{epochs: 3, batch_size: 16, max_time: {max_time}}}
search:
  trials: {n_trials}
  sampler: Random
  pruner: none
  parallel: 4
  attempts: 2
  start_with: [{points}]
"""


def write_study(folder: Path, widths: Sequence[int], max_time: str = "10s") -> None:
    """A study whose trials have these widths."""
    points = ", ".join(f"{{model: {{MLP: {{width: {width}}}}}}}" for width in widths)
    text = STUDY.format(n_trials=len(widths), points=points, max_time=max_time)
    (folder / "study.yaml").write_text(text)


def faulty(folder: Path, *words: str, before: Sequence[str] = ()) -> tuple[StudyRecord, str]:
    """Search with the faults; what is stored then, and what was said."""
    done = subprocess.run(
        [*before, sys.executable, FAULTY, "search", "study.yaml", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return read_study(sqlite_url(folder / "runs/study/study.db"), "study"), done.stderr


def told(trial: TrialRecord) -> object:
    """What must be the same however the others ended."""
    return trial.number, trial.params, trial.value, trial.fold_scores, trial.outcome


GOOD = 16  # a width without a fault
DEATHS = {
    101: "worker died: killed by SIGSEGV",
    102: "worker died: killed by SIGABRT",
    103: "worker died: exited with code 0",
    104: "worker died: exited with code 3",
    105: "error: SystemExit: 3",
    106: "timeout: it ran longer than training.max_time, 10 s",
    107: "timeout: it ran longer than training.max_time, 10 s",
    111: "error: RuntimeError: CUDA error: device-side assert triggered",
    112: "error: OddError: its message cannot be read",
    114: "worker died: killed by SIGKILL",
}


@pytest.fixture
def counting() -> Iterator[None]:
    """One test at a time counts the kernel's kills for want of memory, which all share."""
    with (Path(gettempdir()) / "tunecli-kernel-kills.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("counting")
def test_a_worker_that_dies_or_hangs_ends_its_trial_alone(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    widths = [w for width in DEATHS for w in (width, GOOD)]
    write_study(tmp_path, widths)
    record, said = faulty(tmp_path, "--jobs", "2")
    assert "Traceback" not in said
    ended = {trial.params["model.MLP.width"]: trial for trial in record.trials}
    for width, reason in DEATHS.items():
        trial = ended[width]
        assert (trial.outcome, trial.reason, trial.value) == ("failed", reason, None)
        died = reason.startswith("worker died")
        assert trial.attempt == (2 if died else 1)
        assert bool(trial.traceback) == reason.startswith("error")
        assert trial.end is not None

    # The others are what they are without any fault.
    run_in(tmp_path, "search", "study.yaml", "--runs", "whole", "--set", "training.max_time=1h")
    whole = read_study(sqlite_url(tmp_path / "whole/study/study.db"), "study")
    good = [told(t) for t in record.trials if t.params["model.MLP.width"] == GOOD]
    assert good == [told(t) for t in whole.trials if t.params["model.MLP.width"] == GOOD]
    assert len(good) == len(DEATHS)

    report = run_in(tmp_path, "report", "study").stdout
    assert re.search(r"failed +2 trials: timeout: it ran longer", report)
    one = run_in(tmp_path, "report", "study", "--trial", str(ended[112].number)).stdout
    assert "OddError: its message cannot be read" in one
    assert "raise OddError" in one  # the traceback
    figure(f"{len(DEATHS)} ways to end badly: that trial alone, {len(good)} others unchanged")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_AS")
@pytest.mark.parametrize(
    ("width", "reason"), [(108, "out of memory$"), (109, "out of memory: .*can't allocate memory")]
)
def test_a_limit_on_memory_fails_the_trial_and_leaves_the_worker_clean(
    width: int, reason: str, tmp_path: Path
) -> None:
    write_study(tmp_path, [width, 110, width, 110], max_time="1h")
    record, _ = faulty(tmp_path, "--jobs", "1")
    assert [t.outcome for t in record.trials] == ["failed", "complete"] * 2
    for trial in record.trials[::2]:
        assert re.match(reason, trial.reason), trial.reason
        assert trial.peak_memory is not None
        assert trial.peak_memory > 300_000_000
        assert trial.attempt == 1
        assert trial.seconds
    assert not any("worker died" in trial.reason for trial in record.trials)


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A control group of this test with 1.5 GB of memory."""
    root = Path("/sys/fs/cgroup")
    is_new = (root / "cgroup.controllers").exists()
    group = (root if is_new else root / "memory") / f"tunecli-test-{os.getpid()}"
    limit = "memory.max" if is_new else "memory.limit_in_bytes"
    try:
        group.mkdir()
        (group / limit).write_text("1500000000")
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group can be made here ({error.strerror})")
    yield group
    group.rmdir()


@pytest.mark.usefixtures("counting")
def test_the_kernels_kill_for_want_of_memory_is_told_from_others(
    cgroup: Path, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    write_study(tmp_path, [GOOD, 113, 114, GOOD, 113, GOOD], max_time="1h")
    enter = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh"]
    record, _ = faulty(tmp_path, "--jobs", "1", before=enter)
    outcomes = [(t.outcome, t.reason.partition(":")[0], t.attempt) for t in record.trials]
    killed = ("failed", "out of memory", 1)
    good = ("complete", "", 1)
    assert outcomes == [good, killed, ("failed", "worker died", 2), good, killed, good]
    for trial in (record.trials[1], record.trials[4]):
        assert "killed by the kernel because memory ran out" in trial.reason
        assert 300_000_000 < (trial.peak_memory or 0) < 1_500_000_000
    figure("killed by the kernel for want of memory 2 times: told so, not tried again")
