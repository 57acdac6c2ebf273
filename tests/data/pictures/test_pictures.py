from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from picture_files import make_folders, save, smooth
from PIL import Image

from tunecli.data.cache.entries import FACTS
from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import OF_16_BITS, UnreadableError, decode_picture
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import PICTURE_FILES


def load(
    place: Path,
    cache: Path | None = None,
    source: str = "set/",
    valid: str | None = None,
    **given: object,
) -> Dataset:
    settings = DataSettings.model_validate({"source": source, **given})
    return load_pictures(settings, ValidationSettings(folder=valid), Workspace(place, cache))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff", "ppm"])
def test_every_format_and_mode_gives_the_picture(tmp_path: Path, mode: str, suffix: str) -> None:
    pixels = smooth(3, 9, 14)
    path = tmp_path / f"picture.{suffix}"
    try:
        if mode == "I;16":
            Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path)
        else:
            Image.fromarray(pixels).convert(mode).save(path)
    except (OSError, KeyError, ValueError):
        pytest.skip(f"no {suffix} in mode {mode}")
    depth = OF_16_BITS if mode == "I;16" else None
    grey, coloured = decode_picture(path, 1, None, depth), decode_picture(path, 3, None, depth)
    assert grey.shape == (1, 9, 14)
    assert coloured.shape == (3, 9, 14)
    assert grey.dtype == coloured.dtype == np.uint8
    if mode in ("RGB", "RGBA"):
        assert np.abs(np.moveaxis(coloured, 0, -1).astype(int) - pixels).max() <= 25
    if mode == "I;16" and suffix in ("png", "tiff", "ppm"):
        assert np.abs(coloured[2].astype(int) - pixels[..., 0]).max() <= 25
    if mode == "L":
        expected = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
        assert np.abs(grey[0] - expected).max() <= 10


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(smooth(1, 8, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert decode_picture(tmp_path / "a.jpg", 3).shape == (3, 20, 8)


def test_fitting_cuts_both_sides_alike_and_distorts_nothing(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    save(tmp_path / "a.png", pixels)
    assert (decode_picture(tmp_path / "a.png", 3, (10, 10)) == 200).all()
    assert decode_picture(tmp_path / "a.png", 3, (40, 7)).shape == (3, 40, 7)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [3, 2]})
    dataset = load(tmp_path)
    assert dataset.task == "classification"
    assert list(dataset.classes) == ["class0", "class1"]
    assert dataset.x.shape == (5, 3, 12, 12)
    assert dataset.y.tolist() == [0, 0, 0, 1, 1]
    assert dataset.given == ()
    for row, seed in enumerate(range(1, 6)):
        assert (dataset.x[row].numpy() == np.moveaxis(smooth(seed), -1, 0)).all()


def test_parts_are_recognized_and_the_study_file_has_the_last_word(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"train": [3, 3], "val": [1, 1], "test": [2, 1]})
    dataset = load(tmp_path)
    assert dataset.given == ("test", "validation")
    assert dataset.given_test is not None
    assert dataset.given_folds is not None
    assert dataset.given_test.tolist() == [8, 9, 10]
    assert dataset.given_folds.tolist() == [-1] * 6 + [0, 0] + [-1] * 3
    shared = load(tmp_path, test=0.25)
    assert shared.given == ("validation",)
    assert len(shared.y) == 8
    assert "set/test/ is left out, because data.test asks for 0.25 of the rows." in shared.notes
    make_folders(tmp_path / "more", {"": [1, 2]}, size=(12, 12))
    assert len(load(tmp_path, valid="more").y) == 6 + 3 + 3
    alone = load(tmp_path, source="set/train", valid="set/val", test="set/test")
    assert alone.fingerprint == dataset.fingerprint


def test_a_class_that_is_called_train_is_a_class(tmp_path: Path) -> None:
    for name in ("train", "bus"):
        save(tmp_path / "set" / name / "a.png", smooth(len(name)))
    assert list(load(tmp_path).classes) == ["bus", "train"]


def test_grey_pictures_have_one_channel_unless_one_is_coloured(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    for path in (tmp_path / "set").rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert load(tmp_path).shape == (1, 12, 12)
    assert load(tmp_path, channels=3).shape == (3, 12, 12)
    save(tmp_path / "set" / "class1" / "z.png", smooth(9))
    assert load(tmp_path).shape == (3, 12, 12)
    assert load(tmp_path, channels=1).shape == (1, 12, 12)


def test_sizes_are_as_asked(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]}, size=(10, 16))
    assert load(tmp_path).shape == (3, 10, 16)
    assert load(tmp_path, size=8).shape == (3, 8, 8)
    assert load(tmp_path, size=[6, 20]).shape == (3, 6, 20)
    save(tmp_path / "set" / "class1" / "z.png", smooth(9, 11, 16))
    with pytest.raises(
        DataError, match=r"have one size, but set/class0/000.png is 10 .*z.png is 11 high and"
    ):
        load(tmp_path)
    assert load(tmp_path, size=8).shape == (3, 8, 8)


def test_unreadable_pictures_are_listed_and_skipped_if_asked(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [3, 3]})
    good = (tmp_path / "set" / "class0" / "001.png").read_bytes()
    (tmp_path / "set" / "class0" / "001.png").write_bytes(good[:60])
    (tmp_path / "set" / "class1" / "000.png").write_bytes(b"")
    (tmp_path / "set" / "class1" / "note.txt").write_text("no picture")
    message = (
        r"data.source: 2 of 6 pictures cannot be read: set/class0/001.png \(.+\), "
        r"set/class1/000.png \(it is empty\). Repair or remove them, or write skip_unreadable: "
    )
    with pytest.raises(DataError, match=message):
        load(tmp_path)
    dataset = load(tmp_path, skip_unreadable=True)
    assert dataset.y.tolist() == [0, 0, 1, 1]
    assert (dataset.x[1].numpy() == np.moveaxis(smooth(3), -1, 0)).all()
    assert any("2 of 6 pictures cannot be read and are left out" in n for n in dataset.notes)
    assert any(
        n == "1 file without the suffix of a picture is left out (`.txt`)." for n in dataset.notes
    )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({}, r"set/ contains nothing to read. It must contain one folder per class"),
        ({"": [3]}, r"set/ contains only one class, 'class0', but needs at least two"),
        ({"": [3, 0]}, r"class folder set/class1/ contains no pictures. Remove or fill it"),
        (
            {"train": [2, 2], "val": [1, 1, 1]},
            r"set/val/ has the class 'class2', which set/train/",
        ),
    ],
)
def test_what_is_no_data_set_is_refused(
    tmp_path: Path, made: dict[str, list[int]], message: str
) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=message):
        load(make_folders(tmp_path / "set", made).parent)


def test_pictures_without_folders_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "set" / "a.png", smooth(1))
    with pytest.raises(DataError, match=r"set/ contains 1 picture, but no folders"):
        load(tmp_path)
    with pytest.raises(DataError, match="folder 'other/' does not exist"):
        load(tmp_path, source="other/")


def test_copies_are_known(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"train": [3, 3], "test": [1, 1]})
    shutil.copy(tmp_path / "set/train/class0/000.png", tmp_path / "set/train/class0/copy.png")
    shutil.copy(tmp_path / "set/train/class1/000.png", tmp_path / "set/test/class1/copy.png")
    dataset = load(tmp_path)
    assert dataset.copies is not None
    assert dataset.copies.tolist() == [0, 1, 2, 0, 4, 5, 6, 7, 8, 4]


def large(folder: Path) -> Path:
    """More than is decoded in each process."""
    return make_folders(folder, {"": [20, 20]}, size=(100, 100))


def test_cold_and_warm_it_is_the_same_and_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(tmp_path / "set")
    without = load(tmp_path)
    cold = load(tmp_path, tmp_path / "cache")
    monkeypatch.setattr(
        "tunecli.data.pictures.picture_sets.filled", None
    )  # nothing is made any more
    warm = load(tmp_path, tmp_path / "cache")
    for dataset in (cold, warm):
        assert (dataset.x == without.x).all()
        assert (dataset.y == without.y).all()
        assert dataset.fingerprint == without.fingerprint


def test_a_changed_file_is_noticed_and_a_touched_one_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(tmp_path / "set")
    before = load(tmp_path, tmp_path / "cache")
    path = tmp_path / "set" / "class1" / "003.png"
    status = path.stat()
    other = path.with_name("004.png").read_bytes()
    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as old as it was
    changed = load(tmp_path, tmp_path / "cache")
    assert (changed.x[23] == changed.x[24]).all()
    assert changed.fingerprint != before.fingerprint
    os.utime(path)
    monkeypatch.setattr("tunecli.data.pictures.picture_sets.filled", None)
    assert load(tmp_path, tmp_path / "cache").fingerprint == changed.fingerprint
    path.unlink()
    with pytest.raises(TypeError):
        load(tmp_path, tmp_path / "cache")


_READ = """
import sys
from pathlib import Path
from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
folder = Path(sys.argv[1])
print("ready", flush=True)
workspace = Workspace(folder, folder / "cache")
load_pictures(DataSettings(source="set/"), ValidationSettings(), workspace)
"""


@pytest.mark.slow
def test_the_cache_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    large(tmp_path / "set")
    expected = load(tmp_path)
    n_unfinished = 0
    for delay in (0.0, 0.02, 0.05, 0.1):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        process = subprocess.Popen(
            [sys.executable, "-c", _READ, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        n_unfinished += not list((tmp_path / "cache").glob(f"pictures-*/{FACTS}"))
        found = load(tmp_path, tmp_path / "cache")
        assert (found.x == expected.x).all()
        assert found.fingerprint == expected.fingerprint
        assert not list((tmp_path / "cache").glob(".*.part"))
    assert n_unfinished >= 2, "the kills came too late to say anything"


def test_every_suffix_is_in_small_letters() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PICTURE_FILES)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UnreadableError, match="its format is unknown"):
        decode_picture(tmp_path / "a.png", 3)
