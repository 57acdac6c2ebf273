"""Where things are: the project's own files, and real data where it is there."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = ROOT / "tunecli"
STUDIES = ROOT / "studies"
SHARED = ROOT.parent / "shared"
DATA = Path(os.environ.get("TUNECLI_DATA", SHARED / "data"))
"""Real data sets; tests that use them skip where they are absent."""
