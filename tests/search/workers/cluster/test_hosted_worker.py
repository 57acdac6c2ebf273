"""A worker of a node that sees no file of the driver: what it is sent, and sends back."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from picture_files import make_folders

from tunecli.data.pictures import class_folders
from tunecli.data.rows.workspace import Workspace
from tunecli.search.events.events import Notice
from tunecli.search.workers.cluster import files
from tunecli.search.workers.cluster.files import (
    NodeFiles,
    SentFiles,
    sees_sources,
    sources_of,
    sources_to_send,
    write,
)
from tunecli.search.workers.cluster.hosted_worker import HostedWorker
from tunecli.search.workers.machine import gpus
from tunecli.search.workers.messages import (
    Evaluated,
    Event,
    Finished,
    Resumed,
    Suspended,
    TrialJob,
    WorkerDied,
)
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.study_file import StudyFile

TABLE = """
data: {source: ../data/rows.csv, target: y}
validation: {folds: 2}
model: {MLP: {width: 8, depth: 1}}
optimizer: AdamW
training: {epochs: 40, batch_size: 4}
"""
PICTURES = "data: pictures/\nmodel: CNN\noptimizer: AdamW\n"


@pytest.fixture
def study(tmp_path: Path) -> StudyFile:
    (tmp_path / "data").mkdir()
    (tmp_path / "studies").mkdir()
    lines = "\n".join(f"{i},{i % 7},{'ab'[i % 2]}" for i in range(60))
    (tmp_path / "data/rows.csv").write_text(f"x,z,y\n{lines}\n")
    file = tmp_path / "studies/study.yaml"
    return StudyFile.from_text(TABLE, str(file), folder=file.parent)


@pytest.mark.slow
def test_a_trial_goes_on_elsewhere_from_the_checkpoint_that_was_sent(
    study: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers change it
    folder = tmp_path / "studies"
    sources = sources_to_send(sources_of(study, AllowedCode(folder), folder))
    assert [*sources] == [str(tmp_path / "data/rows.csv")]
    checkpoint = tmp_path / "runs/study/checkpoints/0"
    config = study.completed("classification", 60).first_config
    job = TrialJob(0, 1, config, asks=True, checkpoint=str(checkpoint))
    workspace = Workspace(folder, tmp_path / "runs/.cache")
    one, other = (
        HostedWorker(workspace, name, (False, False), lambda: sources, folder)
        for name in ("one", "other")
    )
    (tmp_path / "data/rows.csv").unlink()  # as on another machine
    try:
        assert [one.events(), other.events()] == [[], []]
        for worker in (one, other):
            worker.call("begin", None)
        one.call("submit", job, None)
        until = 3
        for event in events(one):
            if isinstance(event, Evaluated):
                one.call("reply", 0, True) if event.step < until else one.call("stop", 0, 60.0)
            if isinstance(event, SentFiles):
                write(Path(event.folder), event)
            if isinstance(event, Suspended):
                assert event.saved
                break
        assert not [path for path in checkpoint.iterdir() if path.name.startswith(".")]
        sent = SentFiles(str(checkpoint), contents(checkpoint), "trial")
        other.call("submit", job, sent)
        steps = []
        for event in events(other):
            if isinstance(event, Evaluated):
                steps.append(event.step)
                other.call("reply", 0, True)
            if isinstance(event, Resumed):
                assert event.seconds > 0
            if isinstance(event, Finished):
                assert event.result.outcome == "complete"
                break
        assert steps == [*range(40)]
        assert Path.cwd() == Path(f"/tmp/tunecli-ray-other{folder}")
    finally:
        for worker in (one, other):
            worker.call("close")
            assert worker.events() is None
    assert not [*Path("/tmp").glob("tunecli-ray-one")]


def test_a_checkpoint_that_finds_no_room_is_left_away(
    study: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(NodeFiles, "write", full)
    config = study.completed("classification", 60).first_config
    checkpoint = str(tmp_path / "runs/study/checkpoints/0")
    worker = HostedWorker(Workspace(tmp_path), "full", (False, True), None, tmp_path)
    try:
        assert worker.events() == []
        worker.call("begin", None)
        worker.call("submit", TrialJob(0, 1, config, False, checkpoint), SentFiles("0", {}))
        worker.call("stop", 0, 0.0)
        told = worker.events() or []
        [notice] = [event for event in told if isinstance(event, Notice)]
        assert notice.text.startswith("Trial 0 starts over: its checkpoint could not be written")
        assert notice.text.endswith("(No space left on device).")
    finally:
        worker.call("close")
        while worker.events() is not None:
            pass


@pytest.mark.parametrize("hides_gpus", [False, True])
def test_a_worker_without_a_gpu_sees_none(
    hides_gpus: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    worker = HostedWorker(Workspace(tmp_path), "no-gpu", (True, True), None, tmp_path, hides_gpus)
    assert gpus() == ([] if hides_gpus else ["0", "1"])
    worker.call("close")
    assert [worker.events(), worker.events()] == [[], None]


def events(worker: HostedWorker) -> Iterator[Event | SentFiles]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for event in worker.events() or ():
            assert not isinstance(event, WorkerDied | Notice), event
            yield event
    raise AssertionError("no more events")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_sources_are_seen_by_content_and_not_by_time(study: StudyFile, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    sources = sources_of(study, AllowedCode(folder), folder)
    assert sees_sources(sources)
    rows = tmp_path / "data/rows.csv"
    rows.write_text(rows.read_text())
    assert sees_sources(sources)
    before = rows.stat()
    rows.write_text(rows.read_text().replace("a", "b"))
    os.utime(rows, ns=(before.st_atime_ns, sources[str(rows)].changed))
    assert rows.stat().st_size == before.st_size
    assert not sees_sources(sources), "equal size and time"
    rows.write_text(rows.read_text() + "1,2,a\n")
    assert not sees_sources(sources)
    rows.unlink()
    assert not sees_sources(sources)


def test_large_sources_are_seen_by_size_and_time(
    study: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    folder, rows = tmp_path / "studies", tmp_path / "data/rows.csv"
    sources = sources_of(study, AllowedCode(folder), folder)
    assert [one.sha256 for one in sources.values()] == [""]
    assert sees_sources(sources)
    os.utime(rows, ns=(0, 0))
    assert not sees_sources(sources)


def test_linked_files_and_folders_are_sources(tmp_path: Path) -> None:
    """As the data of studies that share pictures; a link to a folder above adds nothing."""
    elsewhere = tmp_path / "elsewhere"
    make_folders(elsewhere / "all", {"": [2, 2]})
    pictures = tmp_path / "studies/pictures"
    for kind in sorted((elsewhere / "all").iterdir()):
        pictures.mkdir(parents=True, exist_ok=True)
        (pictures / kind.name).symlink_to(kind)
    one = next(path for path in pictures.rglob("*/*") if path.is_file())
    (pictures / kind.name / f"linked{one.suffix}").symlink_to(one)
    (pictures / kind.name / "above").symlink_to(tmp_path)
    (pictures / "broken").symlink_to(tmp_path / "nowhere")
    file = tmp_path / "studies/study.yaml"
    study = StudyFile.from_text(PICTURES, str(file), folder=file.parent)
    sources = sources_of(study, AllowedCode(file.parent), file.parent)
    found = {Path(path).relative_to(pictures): one.sha256 for path, one in sources.items()}
    listing = class_folders.walked
    (pictures / kind.name / "above").unlink()
    assert {*found} == {Path(name) for path, name in listing(pictures) if path.is_file()}
    assert len(found) == 5
    there = NodeFiles(tmp_path / "there", has_runs=True, has_sources=False)
    there.unpack(lambda: sources_to_send(sources))
    for path in sources:
        assert there.path(path).read_bytes() == Path(path).read_bytes()
    (pictures / kind.name / f"linked{one.suffix}").resolve().write_bytes(b"changed")
    assert not sees_sources(sources)


def test_a_link_among_the_code_leads_to_its_file(study: StudyFile, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    (folder / "mine.py").write_text("import beside\n")
    (tmp_path / "shared.py").write_text("x = 1\n")
    (folder / "beside.py").symlink_to(tmp_path / "shared.py")
    (folder / "broken.py").symlink_to(tmp_path / "nowhere.py")
    sources = sources_to_send(sources_of(study, AllowedCode.of(folder, ["mine.py"]), folder))
    assert {Path(path).name for path in sources} == {"mine.py", "beside.py", "rows.csv"}
    assert sources[str(folder / "beside.py")] == b"x = 1\n"


def test_sources_are_fetched_once_per_node(tmp_path: Path) -> None:
    there = NodeFiles(tmp_path / "there", has_runs=True, has_sources=False)
    fetched = []

    def fetch() -> dict[str, bytes]:
        fetched.append(1)
        time.sleep(0.05)
        return {"/data/rows.csv": b"1,2"}

    with ThreadPoolExecutor(4) as workers:
        [*workers.map(there.unpack, [fetch] * 8)]
    assert fetched == [1]
    assert there.path("/data/rows.csv").read_bytes() == b"1,2"


def test_a_fetch_that_fails_is_left_to_the_next_worker(tmp_path: Path) -> None:
    there = NodeFiles(tmp_path / "there", has_runs=True, has_sources=False)

    def fail() -> dict[str, bytes]:
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        there.unpack(fail)
    there.unpack(lambda: {"/a": b"1"})
    assert there.path("/a").read_bytes() == b"1"


def test_the_current_folder_is_the_drivers_or_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, ours = tmp_path / "start", tmp_path / "ours"
    start.mkdir()
    ours.mkdir()
    monkeypatch.chdir(start)
    shared = NodeFiles(tmp_path / "root", has_runs=False, has_sources=True)
    apart = NodeFiles(tmp_path / "root", has_runs=False, has_sources=False)
    shared.enter(tmp_path / "missing")
    assert Path.cwd() == start
    apart.enter(ours)
    assert Path.cwd() == ours
    apart.path(ours).mkdir(parents=True)
    apart.enter(ours)
    assert Path.cwd() == apart.path(ours)
    shared.enter(ours)
    assert Path.cwd() == ours


def test_code_travels_with_its_hash_and_its_neighbours(study: StudyFile, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    (folder / "mine.py").write_text("import beside\n")
    (folder / "beside.py").write_text("x = 1\n")
    allowed = AllowedCode.of(folder, ["mine.py"])
    sources = sources_to_send(sources_of(study, allowed, folder))
    assert {Path(path).name for path in sources} == {"mine.py", "beside.py", "rows.csv"}
    there = NodeFiles(tmp_path / "there", has_runs=True, has_sources=False)
    there.unpack(lambda: sources)
    workspace = there.workspace(Workspace(folder, None, allowed))
    [(file, known)] = workspace.code.files
    assert (file.read_text(), known) == ("import beside\n", allowed.files[0][1])
    assert (workspace.folder / "../data/rows.csv").exists()
    assert there.ours(str(file)) == str(folder / "mine.py")
    assert there.ours("/elsewhere/x.py") == "/elsewhere/x.py"


def test_sent_files_replace_the_older_ones(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    write(folder, SentFiles(str(folder), {"fold-0-1.pt": b"1", "own/0/a": b"2", "trial": b"3"}))
    write(folder, SentFiles(str(folder), {"fold-0-2.pt": b"4", "trial": b"5"}, "trial"))
    left = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert left == {"fold-0-2.pt": b"4", "trial": b"5"}
    assert cast(int, (folder / "trial").stat().st_mtime_ns) >= (
        (folder / "fold-0-2.pt").stat().st_mtime_ns
    )
