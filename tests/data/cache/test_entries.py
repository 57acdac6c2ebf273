from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunecli.data.cache.entries import CacheEntry, NewArray, content_sha256, kept, key_of

KEY = "thing-1"


def make(new: NewArray) -> Mapping[str, Any]:
    new("x", (1000, 7), np.float32)[...] = np.random.default_rng(0).normal(size=(1000, 7))
    new("empty", (0, 3), np.int64)
    return {"names": ["a", "b"], "n": 3}


def never(new: NewArray) -> Mapping[str, Any]:
    raise AssertionError("it is there already")


def same(one: CacheEntry, other: CacheEntry) -> bool:
    return one.facts == other.facts and all(
        np.array_equal(array, other.arrays[name]) and array.dtype == other.arrays[name].dtype
        for name, array in one.arrays.items()
    )


def test_cold_warm_and_without_a_cache_it_is_the_same(tmp_path: Path) -> None:
    cold, warm = kept(tmp_path, KEY, make), kept(tmp_path, KEY, never)
    assert same(cold, warm)
    assert same(cold, kept(None, KEY, make))
    assert sorted(cold.arrays) == ["empty", "x"]
    assert cold.arrays["empty"].shape == (0, 3)


def test_whoever_writes_to_an_array_changes_it_for_nobody_else(tmp_path: Path) -> None:
    first = kept(tmp_path, KEY, make)
    before = float(first.arrays["x"][0, 0])
    first.arrays["x"][0, 0] = 99
    assert kept(tmp_path, KEY, never).arrays["x"][0, 0] == before


def test_a_damaged_entry_is_made_anew(tmp_path: Path) -> None:
    good = kept(tmp_path, KEY, make)
    for damage in (b"", b"\x93NUMPY", (tmp_path / KEY / "x.npy").read_bytes()[:2000]):
        (tmp_path / KEY / "x.npy").unlink()
        (tmp_path / KEY / "x.npy").write_bytes(damage)
        assert same(kept(tmp_path, KEY, make), good)
    (tmp_path / KEY / "facts.json").write_text("{")
    assert same(kept(tmp_path, KEY, make), good)


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert same(kept(tmp_path / "file", KEY, make), kept(None, KEY, make))


def test_what_making_raises_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    def fails(new: NewArray) -> Mapping[str, Any]:
        new("x", (10,), np.float64)[...] = 1
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        kept(tmp_path, KEY, fails)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []
    assert same(kept(tmp_path, KEY, make), kept(None, KEY, make))


def test_a_full_disk_is_met_before_anything_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room, raising=False)
    assert same(kept(tmp_path, KEY, make), kept(None, KEY, make))
    assert not (tmp_path / KEY).exists()


def test_what_was_unused_for_a_month_goes(tmp_path: Path) -> None:
    old, new = key_of("fold", 1), key_of("fold", 2)
    for key in (old, new):
        kept(tmp_path, key, make)
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "facts.json").write_text("{}")
    month_ago = time.time() - 31 * 86400
    for path in (tmp_path / old, mine):
        os.utime(path, (month_ago, month_ago))
    kept(tmp_path, KEY, make)
    assert not (tmp_path / old).exists()
    assert (tmp_path / new).exists()
    assert mine.exists(), "the cache did not make it"


@pytest.mark.parametrize("link", ["cache", "entry"])
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    victim, cache = tmp_path / "victim", tmp_path / "cache"
    victim.mkdir()
    if link == "cache":
        cache.symlink_to(victim)
    else:
        cache.mkdir()
        (cache / KEY).symlink_to(victim)
    os.utime(victim, (1, 1))
    assert same(kept(cache, KEY, make), kept(None, KEY, make))
    assert list(victim.iterdir()) == []
    assert victim.stat().st_mtime == 1


def test_a_pipe_in_an_entry_is_not_waited_for(tmp_path: Path) -> None:
    kept(tmp_path, KEY, make)
    (tmp_path / KEY / "x.npy").unlink()
    os.mkfifo(tmp_path / KEY / "x.npy")
    assert same(kept(tmp_path, KEY, make), kept(None, KEY, make))


def test_keys_tell_everything_apart() -> None:
    keys = [
        key_of("fold", "a", None),
        key_of("fold", "a", ""),
        key_of("fold", ["a", None]),
        key_of("table", "a", None),
        key_of("fold", "a", {"x": 1, "y": 2}),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of("fold", {"x": 1, "y": 2}) == key_of("fold", {"y": 2, "x": 1})


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = content_sha256(tmp_path / "a")
    stat = (tmp_path / "a").stat()
    (tmp_path / "a").write_bytes(b"2")
    os.utime(tmp_path / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_sha256(tmp_path / "a") != first


def make_in_process(folder: str, log: str) -> None:
    def slow(new: NewArray) -> Mapping[str, Any]:
        with open(log, "a") as file:
            file.write("made\n")
        time.sleep(0.2)
        return make(new)

    kept(Path(folder), KEY, slow)


def test_one_process_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=make_in_process, args=(str(tmp_path / "cache"), str(log)))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert log.read_text() == "made\n"


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from tunecli.data.cache.entries import kept
def make(new):
    x = new("x", (400, 1000), np.float32)
    print("writing", flush=True)
    for row in range(400):
        x[row] = row
        time.sleep(0.0002)
    return {"whole": True}
kept(Path(sys.argv[1]), "thing-1", make)
print("done", flush=True)
"""


def test_a_writer_killed_at_any_instant_leaves_nothing_that_is_read(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    seed = 5
    delays = random.Random(seed)
    n_killed = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delays.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        n_killed += not (tmp_path / KEY).exists()
        for path in tmp_path.glob(f"{KEY}/x.npy"):
            assert np.array_equal(np.load(path)[:, 0], np.arange(400))
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True, capture_output=True)
    entry = kept(tmp_path, KEY, never)
    assert entry.facts == {"whole": True}
    assert np.array_equal(entry.arrays["x"][:, 999], np.arange(400))
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob(".*.part"))
    figure(f"cache: {n_killed} of 6 writers killed while they wrote, seed {seed}")
