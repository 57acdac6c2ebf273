"""Folders of pictures that were made to harm, or that somebody made without care."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

import numpy as np
import pytest
from picture_files import make_folders, smooth
from PIL import Image, features
from torchvision import datasets

from tunecli.data.first_looks import first_look
from tunecli.data.new_rows import RowKind, blocks_of
from tunecli.data.pictures.picture_sets import PictureForm, check_room
from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.pictures.torchvision_sets import load_torchvision
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import (
    FORMATS,
    UnreadableError,
    decode_picture,
    header,
    only_pictures,
)
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 12\n%%EndComments\nshowpage\n%%EOF\n"


def load(place: Path, **given: object) -> Dataset:
    settings = DataSettings.model_validate({"source": "set/", **given})
    return load_pictures(settings, ValidationSettings(), Workspace(place))


def predicted_files(place: Path) -> list[str]:
    kind = RowKind((), (3, 12, 12), "uint8", DataSettings(source="set/"))
    return [file for block in blocks_of("set", kind, Workspace(place), 1) for file in block.files]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once Ghostscript was started."""
    program, trace = tmp_path / "bin" / "gs", tmp_path / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs")
    return trace


def test_postscript_called_png_is_no_picture_and_starts_nothing(
    tmp_path: Path, started: Path
) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    path = tmp_path / "set" / "class0" / "000.png"
    path.write_bytes(POSTSCRIPT)
    ways: list[Callable[[], object]] = [
        lambda: load(tmp_path),
        lambda: predicted_files(tmp_path),
        lambda: first_look("set/", None, Workspace(tmp_path)),
    ]
    for way in ways:
        with pytest.raises(DataError, match=r"000.png .*its format is unknown"):
            way()
    assert len(load(tmp_path, skip_unreadable=True).y) == 3
    assert header(path) is None
    assert not started.exists()
    with suppress(OSError, CalledProcessError), Image.open(path) as picture:
        picture.load()
    assert started.exists(), "Pillow alone would not have started it, so nothing was tested"


def test_sets_of_torchvision_open_pictures_only(
    tmp_path: Path, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, name in enumerate(["a", "a", "b", "b"]):
        path = tmp_path / "root" / "eurosat" / "2750" / name / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth(i)).save(path)
    path.write_bytes(POSTSCRIPT)
    settings = DataSettings(source="EuroSAT", root="root")
    with pytest.raises(DataError, match=r"picture 3 of EuroSAT in 'root' cannot be read: cannot"):
        load_torchvision(settings, ValidationSettings(), Workspace(tmp_path))
    assert not started.exists()
    assert len(datasets.EuroSAT(str(tmp_path / "root"))) == 4


def test_pillow_opens_everything_again_afterwards() -> None:
    Image.init()
    before = [*Image.ID]
    with only_pictures():
        assert set(Image.ID) <= set(FORMATS)
    assert before == Image.ID


# Links


@pytest.mark.parametrize("target", ["..", ".", "../..", "/", "../class1/../class0"])
def test_a_loop_of_links_is_named(tmp_path: Path, target: str) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    (tmp_path / "set" / "class0" / "deep").mkdir()
    (tmp_path / "set" / "class0" / "deep" / "up").symlink_to(Path("..", target))
    for way in (load, predicted_files):
        with pytest.raises(
            DataError, match=r"class0/deep/up' is a link to a folder that contains"
        ):
            way(tmp_path)


def test_a_loop_over_two_links_is_named(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    (tmp_path / "set" / "class0" / "there").symlink_to("../../other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "back").symlink_to("../set/class0")
    for way in (load, predicted_files):
        with pytest.raises(DataError, match=r"class0/there/back' is a link to a folder that"):
            way(tmp_path)


def test_a_class_that_is_the_source_itself_is_named(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    (tmp_path / "set" / "all").symlink_to(".")
    with pytest.raises(DataError, match=r"set/all' is a link to a folder that contains it"):
        load(tmp_path)


def test_links_to_folders_elsewhere_are_followed_alike(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    make_folders(tmp_path / "more", {"": [3]}, size=(12, 12))
    (tmp_path / "set" / "class1" / "more").symlink_to(tmp_path / "more" / "class0")
    assert len(load(tmp_path).y) == 7
    assert predicted_files(tmp_path) == [
        *(f"class{label}/00{i}.png" for label in (0, 1) for i in (0, 1)),
        *(f"class1/more/00{i}.png" for i in range(3)),
    ]


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    folder = tmp_path / "set" / "class0"
    os.mkfifo(folder / "pipe.png")
    (folder / "self.png").symlink_to("self.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    reason = (
        r"3 of 7 pictures .*gone.png \(it does not exist\), .*pipe.png \(it is not a file\), "
        r".*self.png \(it does not exist\)"
    )
    with pytest.raises(DataError, match=reason):
        load(tmp_path)
    assert len(load(tmp_path, skip_unreadable=True).y) == 4
    with pytest.raises(DataError, match=r"class0/gone.png cannot be read: it does not exist"):
        predicted_files(tmp_path)


def test_names_that_are_not_utf_8_are_shown(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    os.rename(tmp_path / "set/class0/000.png", os.fsencode(tmp_path / "set/class0") + b"/\xff.png")
    assert "class0/\\udcff.png" in predicted_files(tmp_path)
    assert len(load(tmp_path).y) == 4
    os.rename(tmp_path / "set" / "class1", os.fsencode(tmp_path / "set") + b"/b\xff")
    with pytest.raises(DataError, match=r"class folder 'set/b\\\\udcff' has a name that is not"):
        load(tmp_path)


# Contents


def test_a_picture_that_claims_too_many_pixels_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 60000 60000 255\n" + b"\0" * 12)
    with pytest.raises(UnreadableError, match="its header claims too many pixels"):
        decode_picture(path, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff", "ppm", "avif"])
def test_a_damaged_picture_has_a_reason_wherever_it_ends(tmp_path: Path, suffix: str) -> None:
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(1, 40, 40)).save(path)
    whole = path.read_bytes()
    reasons = []
    for end in {*range(0, len(whole), max(1, len(whole) // 40))}:
        path.write_bytes(whole[:end])
        header(path)
        try:
            assert decode_picture(path, 3).shape == (3, 40, 40)
        except UnreadableError as error:
            reasons.append(str(error))
    assert len(reasons) > 10
    assert all(0 < len(reason) <= 100 for reason in reasons)


def test_of_several_frames_the_first_is_taken_and_that_is_said(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    frames = [Image.fromarray(smooth(i)) for i in (10, 11, 12)]
    for suffix in ("gif", "tiff", "webp", "png"):
        path = tmp_path / "set" / "class0" / f"z.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    dataset = load(tmp_path)
    assert "4 pictures have several frames or pages, such as set/class0/z.gif" in dataset.notes[0]
    assert (dataset.x[3].numpy() == np.moveaxis(smooth(10), -1, 0)).all()  # the PNG


# Pictures that show nothing


@pytest.mark.parametrize(("level", "how"), [(0, "and black"), (77, "and of one colour")])
def test_pictures_that_are_all_the_same_are_refused(tmp_path: Path, level: int, how: str) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    for path in (tmp_path / "set").rglob("*.png"):
        Image.new("L", (12, 12), level).save(path)
    with pytest.raises(
        DataError, match=f"all 4 pictures are identical {how}, so there is nothing"
    ):
        load(tmp_path)


def test_pictures_of_one_colour_are_counted(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"": [3, 3]})
    for name, colour in (("000", (0, 0, 0)), ("002", (1, 2, 3))):
        Image.new("RGB", (12, 12), colour).save(tmp_path / "set" / "class1" / f"{name}.png")
    assert load(tmp_path).notes == (
        "2 of 6 pictures show a single colour (1 of them black), such as set/class1/000.png.",
    )


# Room


@pytest.mark.parametrize("size", [100_000, [2, 10**12], [10**15, 10**15]])
def test_a_size_for_which_there_is_no_room_is_refused(tmp_path: Path, size: object) -> None:
    make_folders(tmp_path / "set", {"": [2, 2]})
    with pytest.raises(DataError, match=r"data.size: one picture of .* GiB. Write a smaller"):
        load(tmp_path, size=size)


def test_a_set_for_which_there_is_no_room_is_refused(tmp_path: Path) -> None:
    form = PictureForm((1000, 1000), 3)
    check_room(1, form, None)
    for cache in (None, tmp_path / "not" / "there"):
        with pytest.raises(DataError, match=r"1,000,000,000 pictures .* need 2,793,967\.7 GiB"):
            check_room(10**9, form, cache)
