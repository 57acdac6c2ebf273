from __future__ import annotations

import gc
import gzip
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from locations import DATA
from torchvision import datasets
from torchvision_files import make_cifar, make_mnist

from tunecli.data.pictures.torchvision_sets import load_torchvision
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import TORCHVISION

NO_CLASSIFICATION = {
    # containers and what is made up
    *("LSUN", "LSUNClass", "ImageFolder", "DatasetFolder", "FakeData", "VisionDataset"),
    # captions, boxes, masks, depth, flow, video, pairs and attributes
    *("CocoCaptions", "CocoDetection", "Flickr8k", "Flickr30k", "SBU", "PhotoTour", "CelebA"),
    *("VOCSegmentation", "VOCDetection", "Cityscapes", "SBDataset", "WIDERFace", "Kitti"),
    *("KittiFlow", "Sintel", "FlyingChairs", "FlyingThings3D", "HD1K", "Kinetics", "HMDB51"),
    *("UCF101", "MovingMNIST", "LFWPairs", "CLEVRClassification"),
}


def load(source: str, folder: Path, cache: Path | None = None, **given: object) -> Dataset:
    settings = DataSettings.model_validate({"source": source, "root": "root", **given})
    return load_torchvision(settings, ValidationSettings(), Workspace(folder, cache))


def test_every_classification_set_is_offered_and_no_other() -> None:
    offered = {name for name in datasets.__all__ if name not in NO_CLASSIFICATION}
    offered = {
        n for n in offered if not n.endswith(("Stereo", "StereoDataset")) and n[0].isupper()
    }
    assert offered - {"InStereo2k"} == set(TORCHVISION)


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_the_own_test_split_is_put_away(tmp_path: Path, name: str) -> None:
    make_mnist(tmp_path / "root", name)
    dataset = load(name, tmp_path)
    oracle = [getattr(datasets, name)(str(tmp_path / "root"), train=t) for t in (True, False)]
    assert dataset.shape == (1, 28, 28)
    assert dataset.given == ("test",)
    assert dataset.given_test is not None
    assert dataset.given_test.tolist() == list(range(40, 60))
    assert (dataset.x[:40, 0] == oracle[0].data).all()
    assert (dataset.x[40:, 0] == oracle[1].data).all()
    assert dataset.y.tolist() == [*oracle[0].targets.tolist(), *oracle[1].targets.tolist()]
    assert list(dataset.classes) == oracle[0].classes


def test_a_share_takes_the_place_of_the_own_test_split(tmp_path: Path) -> None:
    make_mnist(tmp_path / "root")
    dataset = load("MNIST", tmp_path, test=0.5)
    assert dataset.given == ()
    assert len(dataset.y) == 40


def test_cold_and_warm_it_is_the_same_and_changes_are_noticed(tmp_path: Path) -> None:
    make_mnist(tmp_path / "root")
    without = load("MNIST", tmp_path)
    for _ in range(2):
        dataset = load("MNIST", tmp_path, tmp_path / "cache")
        assert (dataset.x == without.x).all()
        assert dataset.fingerprint == without.fingerprint
    assert len(list((tmp_path / "cache").glob("torchvision-*"))) == 1
    path = tmp_path / "root" / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] = 0
    path.write_bytes(bytes(content))
    assert load("MNIST", tmp_path, tmp_path / "cache").y[39] == 0


def test_size_and_channels_are_as_asked(tmp_path: Path) -> None:
    make_mnist(tmp_path / "root")
    assert load("MNIST", tmp_path, size=[16, 20], channels=3).shape == (3, 16, 20)


def test_colours_come_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar(tmp_path / "root")
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    dataset = load("CIFAR10", tmp_path)
    oracle = datasets.CIFAR10(str(tmp_path / "root"))
    assert dataset.shape == (3, 32, 32)
    assert (dataset.x[7].numpy() == np.moveaxis(np.asarray(oracle[7][0]), -1, 0)).all()
    assert dataset.classes[3] == "name3"


def test_a_set_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no MNIST in 'root' .*Write download: true to fetch it"):
        load("MNIST", tmp_path)
    with pytest.raises(DataError, match=r"MNIST needs data.root"):
        load("MNIST", tmp_path, root=None)
    (tmp_path / "root" / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "root" / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(b"no")
    with pytest.raises(DataError, match=r"torchvision cannot read MNIST in 'root': Dataset not"):
        load("MNIST", tmp_path)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The files of a folder by HTTP, as a mirror of MNIST has them."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up, as torchvision does when it looks for redirects."""

    with Server(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def give_mirror(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision fetch MNIST there; the same bytes may have been packed in another way."""
    names = [name for name, _ in datasets.MNIST.resources]
    sums = [hashlib.md5((folder / name).read_bytes()).hexdigest() for name in names]
    monkeypatch.setattr(datasets.MNIST, "resources", [*zip(names, sums, strict=True)])
    monkeypatch.setattr(datasets.MNIST, "mirrors", [url])


@pytest.fixture
def _no_proxy() -> Iterator[None]:
    """Loopback is asked directly, and sockets are collected where their warnings are ignored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield
        gc.collect()


def by_http(test: Callable[..., None]) -> Callable[..., None]:
    """Torchvision leaves sockets to the garbage collector when a server says no."""
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    return ignored(pytest.mark.usefixtures("_no_proxy")(test))


@by_http
def test_a_download_that_fails_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "mirror" / datasets.MNIST.resources[0][0]
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(b"not what torchvision expects"))
    with served(packed.parent) as url:
        for mirrors, reason in (
            ([url + "nowhere/"], "HTTP Error 404: File not found"),
            ([url], "File not found or corrupted"),  # its checksum is another one
        ):
            monkeypatch.setattr(datasets.MNIST, "mirrors", mirrors)
            with pytest.raises(DataError) as caught:
                load("MNIST", tmp_path, download=True)
            told = str(caught.value)
            assert told.startswith("data.source: MNIST could not be downloaded to 'root': Error")
            assert reason in told
            assert told.endswith(
                "put its files there by hand, as torchvision's documentation describes."
            )
            assert len(told.splitlines()) == 1


@by_http
def test_a_download_goes_on_where_it_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = make_mnist(tmp_path / "source") / "MNIST" / "raw"
    for path in [*raw.iterdir()]:
        (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    expected = load("MNIST", tmp_path, root="source")
    with served(raw) as url:
        give_mirror(url, raw, monkeypatch)
        last = raw / datasets.MNIST.resources[-1][0]
        last.rename(raw / "hidden")
        with pytest.raises(DataError, match="could not be downloaded"):
            load("MNIST", tmp_path, download=True)
        (raw / "hidden").rename(last)
        found = load("MNIST", tmp_path, download=True)
    again = load("MNIST", tmp_path, download=True)  # nobody serves it any more
    assert expected.fingerprint == found.fingerprint == again.fingerprint
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@by_http
def test_the_official_files_are_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = DATA / "mnist"
    if not mirror.is_dir():
        pytest.skip(f"no mnist in {DATA}: the official files are not part of the project")
    raw = tmp_path / "local" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in mirror.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    with served(mirror) as url:
        give_mirror(url, mirror, monkeypatch)
        downloaded = load("MNIST", tmp_path, tmp_path / "cache", download=True)
    local = load("MNIST", tmp_path, tmp_path / "cache", root="local")
    assert len(downloaded.y) == 70_000
    assert torch.equal(as_tensor(downloaded), as_tensor(local))
    assert torch.equal(downloaded.y, local.y)
    assert downloaded.fingerprint == local.fingerprint


def as_tensor(dataset: Dataset) -> torch.Tensor:
    assert isinstance(dataset.x, torch.Tensor)
    return dataset.x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder"), [("MNIST", "mnist"), ("FashionMNIST", "fashion_mnist")]
)
def test_the_official_files_are_read(tmp_path: Path, name: str, folder: str) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"no {folder} in {DATA}: the official files are not part of the project")
    raw = tmp_path / "root" / name / "raw"
    raw.mkdir(parents=True)
    for path in (DATA / folder).glob("*.gz"):
        with gzip.open(path) as packed, (raw / path.stem).open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    dataset = load(name, tmp_path, tmp_path / "cache")
    assert dataset.given_test is not None
    assert len(dataset.given_test) == 10_000
    assert len(dataset.classes) == 10
