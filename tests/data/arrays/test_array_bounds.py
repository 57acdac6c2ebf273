"""Arrays that are larger than what they were read from: said before anything is filled."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tunecli.data.arrays import arrays
from tunecli.data.rows import array_forms
from tunecli.data.rows.array_forms import feature_array, tensor_array
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import DataError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import DataSettings

N = 10**12


def zero_strides(folder: Path) -> str:
    x, y = torch.zeros(1, 1).expand(N, 10), torch.zeros(1, dtype=torch.long).expand(N)
    torch.save({"x": x, "y": y}, folder / "d.pt")
    return "d.pt"


def of_a_type_that_numpy_lacks(folder: Path) -> str:
    x = torch.zeros(1, 1, dtype=torch.bfloat16).expand(N, 10)
    torch.save((x, torch.zeros(1).expand(N)), folder / "d.pt")
    return "d.pt"


def pictures(folder: Path) -> str:
    x = torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(N, 1, 8, 8)
    torch.save((x, torch.zeros(1).expand(N)), folder / "d.pt")
    return "d.pt"


def promising(folder: Path) -> str:
    """The header of an array whose numbers are not there."""
    for name, shape in (("x", (N, 10)), ("y", (N,))):
        with (folder / f"{name}.npy").open("wb") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
    return "x.npy"


@pytest.mark.parametrize("write", [zero_strides, of_a_type_that_numpy_lacks, pictures, promising])
def test_a_file_of_more_numbers_than_memory_is_refused(
    tmp_path: Path, write: Callable[[Path], str]
) -> None:
    source = write(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5000
    with pytest.raises(DataError, match=r"GiB of memory\. Use fewer rows|not fit into memory"):
        load_dataset(DataSettings(source=source), Workspace(tmp_path))


def test_what_a_function_returns_is_held_to_the_same(tmp_path: Path) -> None:
    body = f"x = np.broadcast_to(0.5, ({N}, 2))\n    return x, x[:, 0]"
    code = f"import numpy as np\ndef f():\n    {body}\n"
    (tmp_path / "own.py").write_text(code)
    allowed = AllowedCode.of(tmp_path, ["own.py"])
    permit(allowed)
    with pytest.raises(DataError, match=r"own.py:f: 1,000,000,000,000 × 2 numbers need"):
        load_dataset(DataSettings(source="own.py:f"), Workspace(tmp_path, code=allowed))


@pytest.mark.parametrize("name", ["d.npz", "d.pt"])
def test_an_archive_is_measured_before_it_is_unpacked(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "d.npz":
        np.savez_compressed(tmp_path / name, x=np.zeros((5000, 100)), y=np.zeros(5000))
    else:
        torch.save((torch.zeros(5000, 100), torch.zeros(5000)), tmp_path / "plain.pt")
        with zipfile.ZipFile(tmp_path / "plain.pt") as plain:
            with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as packed:
                for member in plain.namelist():
                    packed.writestr(member, plain.read(member))
    monkeypatch.setattr(arrays, "main_memory", lambda: 10**6)
    assert (tmp_path / name).stat().st_size < 10**5
    with pytest.raises(DataError, match=f"{name} does not fit into memory"):
        load_dataset(DataSettings(source=name), Workspace(tmp_path))


def test_what_repeats_itself_is_read_as_it_is_where_it_fits() -> None:
    grey = torch.rand(5, 1, 8, 8).expand(5, 3, 8, 8)
    found = feature_array("grey", tensor_array(grey))
    assert np.array_equal(found, grey.numpy())
    half = torch.rand(1, 3).bfloat16().expand(4, 3)
    assert np.array_equal(tensor_array(half), half.float().numpy())


@pytest.mark.parametrize(("shape", "n_bytes"), [((10, 10), 16), ((10, 1, 2, 2), 8)])
def test_exactly_what_fits_is_taken(
    shape: tuple[int, ...], n_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    monkeypatch.setattr(array_forms, "main_memory", lambda: x.size * n_bytes)
    assert feature_array("x", x).shape == shape
    monkeypatch.setattr(array_forms, "main_memory", lambda: x.size * n_bytes - 1)
    with pytest.raises(DataError, match=r"^data.source: x: 10 × .* numbers need 0.0 GiB"):
        feature_array("x", x)
