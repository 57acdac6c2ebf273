"""Search 8 trials in one process after another, each killed at the next commit; a script.

Arguments: a folder. Prints, as JSON, the uninterrupted table and that of every point.

The kill is a listener of SQLAlchemy that is put on here: nothing in the product knows of it. Each
commit is a point twice: right before it, and right after.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from commands_in_process import FormulaExecutor
from searches import everything, is_sound, states
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from tunecli.search import run
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.executor import EXECUTORS
from tunecli.study_file.study_file import read_study_file

STUDY = """
data: digits
model: {MLP: {width: {int: [8, 64]}}}
optimizer: {AdamW: {lr: {float: [1e-4, 10.0], log: true}}}
search: {trials: 8, parallel: 2, pruner: Median, sampler: TPE}
"""


def search(folder: Path) -> None:
    """One call of `search`."""
    EXECUTORS["local"] = FormulaExecutor
    study = read_study_file(folder / "study.yaml", [])
    place = StudyFolder(folder / "runs", study.name)
    searching = run.Search(study, place, study.search, n_jobs=2)
    with place.held():
        for _ in searching.events():
            pass


def kill_at(point: int) -> None:
    """Kill this process before commit number `point // 2`, or right after it if that is odd."""
    n_commits = 0

    @event.listens_for(Engine, "commit")
    def before(_: Any) -> None:
        nonlocal n_commits
        if point == 2 * n_commits:
            os.kill(os.getpid(), signal.SIGKILL)
        n_commits += 1

    @event.listens_for(Pool, "checkin")
    def after(*_: Any) -> None:
        if n_commits and point == 2 * n_commits - 1:
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(folder: Path, point: int | None = None) -> bool:
    """Search in a process of its own; whether it was killed."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if point is not None:
                kill_at(point)
            search(folder)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def result(folder: Path) -> dict[str, Any]:
    database = folder / "runs/study/study.db"
    return {
        "table": everything(database),
        "states": sorted(states(database)),
        "sound": is_sound(database),
    }


def prepared(folder: Path) -> Path:
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY)
    return folder


def main(folder: Path, every: int) -> None:
    whole = prepared(folder / "whole")
    in_a_child(whole)
    points = []
    for point in range(0, 100_000, every):
        here = prepared(folder / str(point))
        was_killed = in_a_child(here, point)
        if was_killed and in_a_child(here):
            raise AssertionError("nothing kills the second call")
        points.append(result(here) | {"point": point})
        if not was_killed:
            break
    print(json.dumps({"whole": result(whole), "points": points}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
