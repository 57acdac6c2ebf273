"""Pictures of other depths than 8 bits: no grey level is lost that a byte can hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tunecli.data.pictures.pictures import load_pictures
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import (
    BITS,
    OF_16_BITS,
    Depth,
    UnreadableError,
    decode_picture,
    deep_pixels,
    header,
)
from tunecli.data.rows.streamed_rows import as_array
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

Array = NDArray[Any]
SIDE = 16


def load(place: Path, cache: Path | None = None, **given: object) -> Dataset:
    given = {"source": "set/", **given}
    return load_pictures(
        DataSettings.model_validate(given), ValidationSettings(), Workspace(place, cache)
    )


def ramp(largest: float, dtype: str, seed: int = 0) -> Array:
    """All values from 0 to `largest` in turn, (SIDE, SIDE), another order for each seed."""
    values = np.linspace(0, largest, SIDE * SIDE)
    return np.random.default_rng(seed).permutation(values).reshape(SIDE, SIDE).astype(dtype)


def write_png(path: Path, pixels: Array) -> None:
    """A PNG of 16 bits per channel; its lines are filtered in turn by none, left and up."""
    height, width = pixels.shape[:2]
    n_channels = pixels.shape[2] if pixels.ndim == 3 else 1
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[n_channels]
    lines = pixels.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1)
    left = np.pad(lines, ((0, 0), (2 * n_channels, 0)))[:, : lines.shape[1]]
    above = np.pad(lines, ((1, 0), (0, 0)))[:height]
    filtered = [(lines, lines - left, lines - above)[i % 3][i] for i in range(height)]
    raw = b"".join(bytes([i % 3]) + line.tobytes() for i, line in enumerate(filtered))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def write_tiff(path: Path, pixels: Array, photometric: int, planar: int = 1) -> None:
    """An uncompressed TIFF with one strip."""
    height, width = pixels.shape[:2]
    n_channels = pixels.shape[2] if pixels.ndim == 3 else 1
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    format_ = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = [8 * pixels.dtype.itemsize] * n_channels
    tags = [
        *((256, [width]), (257, [height]), (258, bits), (259, [1]), (262, [photometric])),
        *((273, [8]), (277, [n_channels]), (278, [height]), (279, [len(data)])),
        *((284, [planar]), (339, [format_] * n_channels)),
    ]
    behind = 8 + len(data) + 2 + 12 * len(tags) + 4
    directory, more = struct.pack("<H", len(tags)), b""
    for tag, values in tags:
        packed = struct.pack(f"<{len(values)}H", *values)
        if len(packed) > 4:
            packed, more = struct.pack("<I", behind + len(more)), more + packed
        directory += struct.pack("<HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(start + data + directory + b"\0\0\0\0" + more)


def write_grey(path: Path, pixels: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_set(folder: Path, suffix: str, pixels: Callable[[int], Array]) -> Path:
    """Two classes with three pictures each."""
    for i in range(6):
        write_grey(folder / "set" / "ab"[i % 2] / f"{i}.{suffix}", pixels(i))
    return folder


# One rule


@given(st.integers(0, 2**32 - 1))
def test_a_set_has_the_smallest_depth_that_holds_its_largest_value(largest: int) -> None:
    depth = Depth.of("whole", 0, largest)
    n_bits = next(n for n in BITS if largest < 2**n)
    values = np.array([0, largest, 2**n_bits - 1])
    assert depth.holds(values)
    assert not depth.holds(values + 1)
    assert depth.levels(values).tolist() == (values >> (n_bits - 8)).tolist()


@settings(max_examples=50)
@given(st.sampled_from(BITS[:5]))
def test_every_level_is_used_and_equally_often(n_bits: int) -> None:
    counts = np.bincount(Depth.of("whole", 0, 2**n_bits - 1).levels(np.arange(2**n_bits)))
    assert counts.tolist() == [2 ** (n_bits - 8)] * 256


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_fractions_from_the_least_to_the_largest_are_all_levels(one: float, other: float) -> None:
    low, high = sorted((one, other))
    depth = Depth.of("real", low, high)
    assert depth.low <= low <= high <= depth.high
    ends = depth.levels(np.array([depth.low, depth.high]))
    assert ends.tolist() == [0, 255]


def test_bytes_as_fractions_are_the_bytes_again() -> None:
    levels = np.arange(256)
    assert (Depth.of("real", 0, 1).levels((levels / 255).astype(np.float32)) == levels).all()


@pytest.mark.parametrize("ends", [(0.0, 0.0), (1.0, 0.0), (0.0, float("inf")), (float("nan"), 1)])
def test_a_rule_that_computes_nothing_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="values from"):
        Depth("real", *ends)


# Files


@pytest.mark.parametrize(
    ("suffix", "dtype", "largest", "words"),
    [
        ("png", "uint16", 255, "values from 0 to 255 (8 bits)"),
        ("png", "uint16", 1000, "values from 0 to 1,023 (10 bits)"),
        ("png", "uint16", 4000, "values from 0 to 4,095 (12 bits)"),
        ("png", "uint16", 16000, "values from 0 to 16,383 (14 bits)"),
        ("png", "uint16", 65535, "values from 0 to 65,535 (16 bits)"),
        ("tiff", "uint16", 4095, "values from 0 to 4,095 (12 bits)"),
        ("pgm", "uint16", 255, "values from 0 to 255 (8 bits)"),
        ("tiff", "int32", 4095, "values from 0 to 4,095 (12 bits)"),
        ("tiff", "int32", 2**30, "values from 0 to 2,147,483,647 (31 bits)"),
        ("tiff", "float32", 1.0, "values from 0 to 1"),
        ("tiff", "float32", 0.5, "values from 0 to 1"),
        ("tiff", "float32", 300.0, "values from 0 to 300"),
        ("tiff", "float32", 0.125, "values from 0 to 0.125"),
        ("tiff", "int32", 100_000, "values from 0 to 131,071 (17 bits)"),
    ],
)
def test_a_set_keeps_its_grey_levels(
    tmp_path: Path, suffix: str, dtype: str, largest: float, words: str
) -> None:
    dataset = load(make_set(tmp_path, suffix, lambda i: ramp(largest, dtype, i)))
    assert dataset.depth is not None
    assert dataset.depth.in_words == words
    assert len(dataset.x.unique()) >= 64
    assert f"hold values from 0 to {largest:g}: {words} are mapped to levels" in dataset.notes[0]
    for i in range(6):
        row = i // 2 if i % 2 == 0 else 3 + i // 2
        assert (dataset.x[row, 0].numpy() == dataset.depth.levels(ramp(largest, dtype, i))).all()


def test_bytes_have_no_rule(tmp_path: Path) -> None:
    dataset = load(make_set(tmp_path, "png", lambda i: ramp(255, "uint8", i)))
    assert dataset.depth is None
    assert dataset.notes == ()


def test_signed_numbers_go_from_the_least_to_the_largest(tmp_path: Path) -> None:
    make_set(tmp_path, "tiff", lambda i: ramp(4000, "int32", i) - 1000)
    dataset = load(tmp_path)
    assert dataset.depth == Depth("whole", -1000.0, 3000.0)
    assert len(dataset.x.unique()) > 240


@given(
    st.one_of(
        st.tuples(st.just("whole"), st.integers(0, 2**32 - 300), st.integers(255, 2**32)),
        st.tuples(st.just("real"), st.floats(0, 1), st.floats(1e-3, 1)),
    )
)
def test_a_quarter_of_the_levels_is_used_wherever_the_values_lie(
    set_of: tuple[Literal["whole", "real"], float, float],
) -> None:
    kind, least, span = set_of
    largest = min(least + span, 2**32 - 1 if kind == "whole" else 1.0)
    assume(largest - least > 1e-4)
    depth = Depth.of(kind, least, largest)
    assert depth.holds(np.array([least, largest]))
    low, high = depth.levels(np.array([least, largest])).astype(int)
    assert high - low >= 63


def test_values_far_from_black_keep_their_levels(tmp_path: Path) -> None:
    make_set(tmp_path, "png", lambda i: ramp(1000, "uint16", i) + 29_000)
    dataset = load(tmp_path)
    assert dataset.depth == Depth("whole", 29_000.0, 30_000.0)
    assert len(dataset.x.unique()) > 240


@pytest.mark.parametrize("n_channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "tiff", "ppm"])
def test_colours_of_16_bits_are_read_whole(tmp_path: Path, kind: str, n_channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (7, 5, n_channels)).astype(np.uint16)
    path = tmp_path / f"a.{kind}"
    if kind == "png":
        write_png(path, pixels)
    elif kind == "tiff":
        write_tiff(path, pixels, photometric=2)
    else:
        path.write_bytes(b"P6 5 7 65535\n" + pixels[..., :3].astype(">u2").tobytes())
    assert (deep_pixels(path) == pixels[..., :3]).all()
    found = decode_picture(path, 3, None, OF_16_BITS)
    assert (found == np.moveaxis(pixels[..., :3] >> 8, -1, 0)).all()


def test_numbers_without_a_sign_keep_their_upper_half(tmp_path: Path) -> None:
    pixels = np.array([[2**32 - 1, 2**31], [5, 0]], np.uint32)
    write_tiff(tmp_path / "a.tiff", pixels, photometric=1)
    assert (deep_pixels(tmp_path / "a.tiff") == pixels).all()


def test_a_picture_of_16_bits_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3) * 1000
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert (deep_pixels(tmp_path / "a.png") == np.rot90(pixels, -1)).all()


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda path: write_png(path, np.zeros((4, 4, 2), np.uint16)),
            "cannot read in full .LA;16B",
        ),
        (
            lambda path: write_tiff(path, np.zeros((4, 4, 3), np.uint16), 2, planar=2),
            "cannot read in full .R.",
        ),
        (lambda path: write_tiff(path, np.zeros((4, 4), np.int8), 1), "8 bits have a sign"),
        (lambda path: path.write_bytes(b"P3 1 1 65535\n1 2 3\n"), "cannot read in full .RGB."),
        (lambda path: path.write_bytes(b"P6 2 2 65535\n1 2 3\n"), "cannot reshape array"),
        (lambda path: write_tiff(path, np.full((4, 4), np.nan, np.float32), 1), "not finite"),
        (lambda path: write_tiff(path, np.full((4, 4), np.inf, np.float32), 1), "not finite"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    make_set(tmp_path, "png", lambda i: ramp(255, "uint8", i))
    write(tmp_path / "set" / "a" / "z.tiff")
    with pytest.raises(DataError, match=f"set/a/z.tiff .*{reason}.*skip_unreadable: true"):
        load(tmp_path)
    assert len(load(tmp_path, skip_unreadable=True).y) == 6


# Sets of several kinds


def test_bytes_beside_deeper_pictures_keep_their_levels(tmp_path: Path) -> None:
    make_set(tmp_path, "png", lambda i: ramp(4095, "uint16", i))
    write_grey(tmp_path / "set" / "b" / "z.png", ramp(255, "uint8"))
    dataset = load(tmp_path)
    assert (dataset.x[6, 0].numpy() == ramp(255, "uint8")).all()
    assert "6 of 7 pictures are stored with more than 8 bits" in dataset.notes[0]
    assert "Pictures of 8 bits, such as set/b/z.png, keep their levels." in dataset.notes[0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_no_rule_fits_fractions_and_whole_numbers(tmp_path: Path, dtype: str) -> None:
    make_set(tmp_path, "tiff", lambda i: ramp(300, "float32", i))
    write_grey(tmp_path / "set" / "b" / "z.png", ramp(255, dtype))
    with pytest.raises(DataError, match=r"set/.*no single rule can scale. Save all"):
        load(tmp_path)


def test_the_held_out_pictures_are_of_the_same_set(tmp_path: Path) -> None:
    for i in range(6):
        part = "train" if i < 4 else "test"
        largest = 255 if i < 4 else 4095
        write_grey(tmp_path / "set" / part / "ab"[i % 2] / f"{i}.png", ramp(largest, "uint16", i))
    assert load(tmp_path).depth == Depth("whole", 0.0, 4096.0)


def test_cold_and_warm_the_rule_is_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    make_set(tmp_path, "png", lambda _: rng.integers(0, 4096, (500, 500)).astype(np.uint16))
    found = [load(tmp_path, cache) for cache in (None, *[tmp_path / "cache"] * 2)]
    assert len({dataset.fingerprint for dataset in found}) == 1
    assert {dataset.depth for dataset in found} == {Depth("whole", 0.0, 4096.0)}
    assert len({dataset.notes for dataset in found}) == 1


# New pictures


@pytest.mark.parametrize(
    ("pixels", "depth", "reason"),
    [
        (ramp(4095, "uint16"), None, "more than 8 bits, but 8 are expected"),
        (
            ramp(4096, "uint16"),
            Depth.of("whole", 0, 4095),
            "from 0 to 4096, but values from 0 to 4,095",
        ),
        (ramp(1, "float32"), Depth.of("whole", 0, 4095), "fractions, but whole numbers"),
        (ramp(2, "float32"), Depth.of("real", 0, 1), "from 0 to 2, but values from 0 to 1"),
        (ramp(255, "uint8"), Depth.of("real", -1, 1), "8 bits, but fractions"),
    ],
)
def test_a_picture_of_another_depth_is_refused(
    tmp_path: Path, pixels: Array, depth: Depth | None, reason: str
) -> None:
    write_grey(tmp_path / "a.tiff", pixels)
    with pytest.raises(UnreadableError, match=reason):
        decode_picture(tmp_path / "a.tiff", 1, None, depth)


def test_pillow_pictures_of_ones_own_are_taken_as_they_are() -> None:
    for dtype in ("uint16", "int32", "float32"):
        pixels = ramp(4095, dtype)
        found = as_array(Image.fromarray(pixels))
        assert found.dtype == pixels.dtype
        assert (found == pixels[None]).all()


def test_a_header_says_what_is_in_a_file(tmp_path: Path) -> None:
    write_grey(tmp_path / "a.png", ramp(9, "uint16"))
    found = header(tmp_path / "a.png")
    assert found is not None
    assert (found.size, found.is_grey, found.kind, found.has_frames) == (
        (SIDE, SIDE),
        True,
        "whole",
        False,
    )
