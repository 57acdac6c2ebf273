"""From `init` to `predict` with folders of pictures: drawn ones, and photographs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call_in
from locations import DATA
from numpy.typing import NDArray
from picture_files import save
from sklearn.metrics import accuracy_score

import tunecli

KINDS = ("ants", "bees")
N_TRAIN, N_VAL, N_NEW = 30, 10, 6


def insect(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A dark picture with a red patch for an ant and a blue one for a bee."""
    pixels = rng.integers(0, 90, (16, 20, 3)).astype(np.uint8)
    pixels[4:12, 6:14, 2 * KINDS.index(kind)] += 120
    return pixels


def write_insects(folder: Path) -> None:
    """Class folders in `train` and `val`, and new pictures without classes."""
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for part, n in (("train", N_TRAIN), ("val", N_VAL)):
            for number in range(n):
                save(folder / f"insects/{part}/{kind}/{number:02d}.png", insect(kind, rng))
    for number in range(N_NEW):
        save(folder / f"new/{number}.png", insect(KINDS[number % 2], rng))


@pytest.mark.slow
def test_pictures_in_folders(tmp_path: Path) -> None:
    write_insects(tmp_path)
    call_in(tmp_path, "init", "insects")
    file = tmp_path / "insects.yaml"
    text = file.read_text()
    n_all = len(KINDS) * (N_TRAIN + N_VAL)
    assert f"# A first study of insects/: {n_all} rows, 2 classes to predict." in text
    quick = text.replace("trials: 30", "trials: 3").replace("epochs: 20", "epochs: 5")
    file.write_text(quick.replace("[1e-4, 1e-1]", "[2e-3, 2e-2]"))

    searched = call_in(tmp_path, "search", "insects.yaml", "--jobs", "1").stderr
    assert "insects is finished: 3 of 3 trials done." in searched
    report = call_in(tmp_path, "report", "insects").stdout
    assert "guessing    always the commonest class: accuracy 0.5" in report
    assert "Best: trial" in report

    refitted = call_in(tmp_path, "refit", "insects", "-o", "deployed").stdout
    assert "test        accuracy " in refitted
    model = tunecli.load(tmp_path / "deployed")
    assert list(model.classes) == [*KINDS]
    told = call_in(tmp_path, "predict", "deployed", "new", "-o", "out.csv", "--proba").stderr
    columns = "`prediction`, `probability_ants` and `probability_bees`"
    assert f"out.csv: {N_NEW} rows, columns " in told
    assert columns in told
    out = pd.read_csv(tmp_path / "out.csv")
    assert accuracy_score([KINDS[n % 2] for n in range(N_NEW)], out["prediction"]) == 1.0
    np.testing.assert_allclose(out[["probability_ants", "probability_bees"]].sum(axis=1), 1.0)
    np.testing.assert_array_equal(out["prediction"], model.predict(tmp_path / "new"))


HYMENOPTERA = DATA / "hymenoptera_160"


@pytest.mark.slow
@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason=f"{HYMENOPTERA} does not exist")
def test_photographs_of_ants_and_bees(tmp_path: Path) -> None:
    n = {part: len([*(HYMENOPTERA / part).glob("*/*.*")]) for part in ("train", "val")}
    call_in(tmp_path, "init", str(HYMENOPTERA))
    file = tmp_path / "hymenoptera_160.yaml"
    text = file.read_text()
    assert f": {sum(n.values())} rows, 2 classes to predict." in text
    assert "the median of heights and widths is 160 pixels." in text
    quick = text.replace("size: 64", "size: 32").replace("    resnet18: {}\n", "")
    quick = quick.replace("trials: 30", "trials: 2").replace("epochs: 20", "epochs: 3")
    file.write_text(quick)

    searched = call_in(tmp_path, "search", "hymenoptera_160.yaml", "--jobs", "1").stderr
    assert f"validation  the {n['val']} rows marked by the data" in searched
    assert "hymenoptera_160 is finished: 2 of 2 trials done." in searched
    report = json.loads(call_in(tmp_path, "report", "hymenoptera_160", "--json").stdout)
    best = max(trial["value"] for trial in report["trials"])
    shown = call_in(tmp_path, "report", "hymenoptera_160").stdout
    assert f"mean score  accuracy {best:.4f}\n" in shown
    n_ants = len([*(HYMENOPTERA / "val/ants").iterdir()])
    told = f"always the commonest class: accuracy {n_ants / n['val']:.4f}"
    assert told in shown

    refitted = call_in(tmp_path, "refit", "hymenoptera_160", "-o", "deployed").stdout
    n_test = round(0.2 * n["train"])
    assert re.search(rf"test        accuracy 0\.\d{{4}} \(95 %: .*, {n_test} rows\)", refitted)
    words = ("predict", "deployed", str(HYMENOPTERA / "val"), "-o", "out.csv")
    told = call_in(tmp_path, *words).stderr
    assert told == f"out.csv: {n['val']} rows, columns `file` and `prediction`\n"
    out = pd.read_csv(tmp_path / "out.csv")
    assert out["file"].nunique() == n["val"]
    assert all((HYMENOPTERA / "val" / name).is_file() for name in out["file"])
    model = tunecli.load(tmp_path / "deployed")
    np.testing.assert_array_equal(out["prediction"], model.predict(HYMENOPTERA / "val"))
