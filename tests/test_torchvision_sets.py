from __future__ import annotations

import gzip
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torchvision import datasets

from tunecli.data.dataset import Dataset
from tunecli.data.torchvision_sets import SETS, load_torchvision
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings import DataSettings, ValidationSettings
from tunecli.study_file.source_kinds import TORCHVISION

SHARED = Path(os.environ.get("TUNECLI_DATA", Path(__file__).parents[2] / "shared" / "data"))
NO_CLASSIFICATION = {
    # containers and what is made up
    *("LSUN", "LSUNClass", "ImageFolder", "DatasetFolder", "FakeData", "VisionDataset"),
    # captions, boxes, masks, depth, flow, video, pairs and attributes
    *("CocoCaptions", "CocoDetection", "Flickr8k", "Flickr30k", "SBU", "PhotoTour", "CelebA"),
    *("VOCSegmentation", "VOCDetection", "Cityscapes", "SBDataset", "WIDERFace", "Kitti"),
    *("KittiFlow", "Sintel", "FlyingChairs", "FlyingThings3D", "HD1K", "Kinetics", "HMDB51"),
    *("UCF101", "MovingMNIST", "LFWPairs", "CLEVRClassification"),
}


def idx(array: NDArray[np.uint8]) -> bytes:
    """The format of MNIST: magic number, sizes, bytes."""
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def make_mnist(root: Path, name: str = "MNIST", n_train: int = 40, n_test: int = 20) -> Path:
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for stem, n in (("train", n_train), ("t10k", n_test)):
        x = random.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        y = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(idx(x))
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(idx(y))
    return root


def make_cifar(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        batch = {"data": random.integers(0, 256, (10, 3072), np.uint8), "labels": [*range(10)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"name{i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return root


def load(source: str, folder: Path, cache: Path | None = None, **given: object) -> Dataset:
    settings = DataSettings.model_validate({"source": source, "root": "root", **given})
    return load_torchvision(settings, ValidationSettings(), Workspace(folder, cache))


def test_every_classification_set_is_offered_and_no_other() -> None:
    offered = {name for name in datasets.__all__ if name not in NO_CLASSIFICATION}
    offered = {
        n for n in offered if not n.endswith(("Stereo", "StereoDataset")) and n[0].isupper()
    }
    assert offered - {"InStereo2k"} == set(TORCHVISION) == set(SETS)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder"), [("MNIST", "mnist"), ("FashionMNIST", "fashion_mnist")]
)
def test_the_official_files_are_read(tmp_path: Path, name: str, folder: str) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no {folder} in {SHARED}: the official files are not part of the project")
    raw = tmp_path / "root" / name / "raw"
    raw.mkdir(parents=True)
    for path in (SHARED / folder).glob("*.gz"):
        with gzip.open(path) as packed, (raw / path.stem).open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    dataset = load(name, tmp_path, tmp_path / "cache")
    assert dataset.given_test is not None
    assert len(dataset.given_test) == 10_000
    assert len(dataset.classes) == 10
