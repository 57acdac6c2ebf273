"""What a worker's memory is: its own, and what it shares with the process that it was forked from.

    OMP_NUM_THREADS=1 python tests/benchmarks/memory.py [--jobs 2] [--seconds 60]

Searches digits and prints for each process its resident memory (RSS), which counts shared pages
in full, its own memory (USS), which it alone holds, and its share of all (PSS), in MiB, once the
workers have trained for some seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

STUDY = """
data: digits
model: {MLP: {width: {int: [8, 64]}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}
training: {epochs: 100}
search: {trials: 1000, baselines: false}
"""


def trained(process: psutil.Process, seconds: float) -> list[psutil.Process]:
    """Wait until a worker of a search has used some CPU seconds; return all that have begun."""
    while process.is_running():
        servers = process.children()
        workers = [one for server in servers for one in server.children()]
        if any(one.cpu_times().user >= seconds for one in workers):
            return workers
        time.sleep(0.5)
    raise SystemExit("the search ended before a worker had trained for so long")


def megabytes(process: psutil.Process) -> tuple[float, float, float]:
    """Return RSS, USS and PSS in MiB."""
    used = process.memory_full_info()
    return used.rss / 2**20, used.uss / 2**20, used.pss / 2**20


def main() -> None:
    """Search, and print the memory of each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        (Path(folder) / "digits.yaml").write_text(STUDY)
        words = ["-m", "tunecli", "search", "digits.yaml", "--jobs", str(options.jobs)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            [sys.executable, *words], cwd=folder, stdout=quiet, stderr=quiet
        ) as search:
            try:
                driver = psutil.Process(search.pid)
                workers = trained(driver, options.seconds)
                server = workers[0].parent()
                assert server is not None
                print(f"{'':<22}{'RSS':>6}{'USS':>6}{'PSS':>6}  MiB")
                named = [("driver", driver), ("what workers fork from", server)]
                for name, one in [*named, *(("worker", worker) for worker in workers)]:
                    print(f"{name:<22}{''.join(f'{size:6.0f}' for size in megabytes(one))}")
            finally:
                search.terminate()


if __name__ == "__main__":
    main()
