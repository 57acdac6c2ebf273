"""No code of the hub runs: a stand-in for the package that fetches it is never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.utils.import_utils import KERNELS_MIN_VERSION

BUILD = """
import sys
from auto_model_cases import ADAPTERS, classifier

model = classifier("bert", adapter=ADAPTERS.get("{adapter}"))
if model.adapter is not None:
    model.merge_adapter()
print(*sorted({{"kernels", "peft"}} & {{*sys.modules}}))

from transformers.integrations.hub_kernels import get_kernel, lazy_load_kernel
try:
    lazy_load_kernel("deep-gemm")
    get_kernel("kernels-community/rwkv", version=1)
except ImportError:
    print("refused")
import kernels  # the code of a user can
"""
KERNELS = """
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *arguments, **settings: (lambda given: given)
"""


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    """The folder of a package `kernels` of a version that transformers uses."""
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text(KERNELS)
    facts = tmp_path / f"kernels-{KERNELS_MIN_VERSION}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: kernels\nVersion: {KERNELS_MIN_VERSION}\n"
    )
    return package


@pytest.mark.parametrize(
    ("adapter", "imported"), [("LoRA", "peft"), pytest.param("", "", marks=pytest.mark.slow)]
)
def test_no_code_of_the_hub_runs_and_nothing_is_said(
    kernels: Path, adapter: str, imported: str
) -> None:
    """peft is imported for an adapter only; it imports bitsandbytes, which would fetch code."""
    path = os.pathsep.join([str(kernels.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(adapter=adapter)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [imported, "refused"]
    assert done.stderr == ""
    assert (kernels / "imported").exists()  # by the last line, so the stand-in can be imported
