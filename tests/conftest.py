"""What every test shares: seeds, and one torch thread: two busy cores collapse under more.

A test that measures something says so with `figure("…")`; all figures stand at the end of the run.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import numpy as np
import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")


torch.set_num_threads(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script started the tests with &
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps a line for the end of the run: what was done, how often, with which seed."""
    return lambda line: record_property("figure", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    figures = [line for r in reports for name, line in r.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(str(line))
