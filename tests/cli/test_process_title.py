from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from tunecli.cli.shared.process_title import hide_in_process_title

hide_in_process_title("a:sé/cret")
print(Path("/proc/self/cmdline").read_text().split("\\0")[-3:], sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="only Linux has /proc/self/mem")
def test_a_secret_leaves_the_list_of_processes_and_nothing_else_does() -> None:
    words = ["--storage=a:sé/cret", "a:se/cret"]
    told = subprocess.check_output([sys.executable, "-c", SCRIPT, *words], text=True)
    shown = ["--storage=**********", "a:se/cret", ""]
    assert told == f"{shown} {words}\n"
