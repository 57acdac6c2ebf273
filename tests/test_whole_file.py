from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest
from tunecli.model_folder.whole_file import whole_file

from tunecli.errors import ExportError


@pytest.mark.parametrize("name", [".", "", "folder", "folder/..", "/"])
def test_a_folder_is_no_file_to_write(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with (
        chdir(tmp_path),
        pytest.raises(ExportError, match=r" is a folder\. Name a file"),
        whole_file(Path(name)),
    ):
        pytest.fail("it was opened")
    assert [*tmp_path.rglob("*")] == [tmp_path / "folder"]
