"""A model that cannot take the rows of a source is refused before any data is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.errors import DataError, StudyFileError
from tunecli.study_file.catalogue.names import LANGUAGE_MODELS, names
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.study_file import read_study_file
from tunecli.training.models.building import check_fit, model_needs

SOURCES: dict[str, dict[str, Any]] = {
    "iris": {"source": "iris"},
    "digits": {"source": "digits"},
    "pictures": {"source": "pictures/"},
    "texts": {"source": "texts/"},
    "table": {"source": "t.csv", "target": "y"},
    "table of texts": {"source": "t.csv", "target": "y", "text": ["words"]},
    "numbers": {"source": "numbers.npz"},
    "arrays of pictures": {"source": "pictures.npz"},
}
MODELS = [name for name in names("model") if name not in LANGUAGE_MODELS]
NEEDED = {"AutoModelForSequenceClassification": "{config: bert}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each kind of source."""
    made, draw = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    for label in "ab":
        for kind in ("pictures", "texts"):
            (made / kind / label).mkdir(parents=True)
        for number in range(3):
            pixels = draw.integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(made / "pictures" / label / f"{number}.PNG")
            (made / "texts" / label / f"{number}.txt").write_text(f"word {label} {number}")
    rows = [f"{n},a text of {n} words,{'pq'[n % 2]}" for n in range(8)]
    (made / "t.csv").write_text("\n".join(["a,words,y", *rows]))
    y = np.arange(8) % 2
    np.savez(made / "numbers.npz", x=draw.normal(size=(8, 4)), y=y)
    np.savez(made / "pictures.npz", x=draw.normal(size=(8, 1, 8, 8)), y=y)
    return made


def refusal(folder: Path, source: dict[str, Any], models: str) -> str:
    """Return the mistakes of a study file; empty without any."""
    (folder / "s.yaml").write_text(
        f"data: {json.dumps(source)}\nmodel: {models}\noptimizer: Adam\n"
    )
    try:
        read_study_file(folder / "s.yaml")
    except StudyFileError as error:
        return str(error)
    return ""


def cannot_take(folder: Path, source: dict[str, Any], model: str) -> bool:
    """Return whether the kind of the rows, once they are read, does not fit a model."""
    dataset = load_dataset(DataSettings.model_validate(source), Workspace(folder))
    is_text = bool(dataset.text_columns)
    if (model_needs(model).rows == "text") != is_text:
        return True
    return model_needs(model).rows == "pictures" and len(dataset.x.shape) != 4


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from([*SOURCES]), model=st.sampled_from(MODELS))
def test_what_is_refused_is_what_cannot_take_the_rows(folder: Path, kind: str, model: str) -> None:
    found = refusal(folder, SOURCES[kind], f"{{{model}: {NEEDED.get(model, '{}')}}}")
    expected = cannot_take(folder, SOURCES[kind], model)
    if kind in ("numbers", "arrays of pictures") and model_needs(model).rows == "pictures":
        assert not found  # only reading shows whether the rows are pictures
        return
    assert bool(found) == expected, found
    if found:
        assert "s.yaml:2:" in found
        assert f": {model} takes " in found
        assert len(found.splitlines()) == 1


@pytest.mark.parametrize("kind", SOURCES)
def test_the_models_that_a_refusal_names_can_take_the_rows(folder: Path, kind: str) -> None:
    for model in ("TextCNN", "CNN", "MLP"):
        found = refusal(folder, SOURCES[kind], model)
        named = found.rpartition("se ")[2].rstrip(".").replace("`", "").replace(" or ", ", ")
        for name in named.split(", ") if found else ():
            assert not cannot_take(folder, SOURCES[kind], name), found


@pytest.mark.parametrize(
    ("kind", "model", "message"),
    [
        ("pictures", "TextCNN", "s.yaml:2:8: model: TextCNN takes text, but pictures/ has none."),
        ("pictures", "LSTM", "LSTM takes text, but pictures/ has none. Use CNN or MLP."),
        ("texts", "resnet18", "resnet18 takes no text, but texts/ contains texts. Use `TextCNN`"),
        ("table", "CNN", "s.yaml:2:8: model: CNN takes pictures, but t.csv has none. Use MLP or"),
        ("iris", "CNN", "CNN takes pictures, but iris has none. Use MLP or Linear."),
        ("numbers", "GRU", "GRU takes text, but numbers.npz has none. Use MLP or Linear."),
        ("table of texts", "vit_b_16", "vit_b_16 takes no text, but data.text names columns. Use"),
    ],
)
def test_a_refusal_names_the_model_the_source_and_the_way_out(
    folder: Path, kind: str, model: str, message: str
) -> None:
    assert message in refusal(folder, SOURCES[kind], model)


def test_each_option_has_its_line(folder: Path) -> None:
    found = refusal(folder, {"source": "pictures/"}, "\n  choice:\n    - MLP\n    - TextCNN")
    assert found.startswith(f"{folder}/s.yaml:5:7: model.choice[1]: TextCNN takes text")


def test_a_folder_behind_a_link_could_contain_either(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    for label in "ab":
        (tmp_path / "linked" / label).symlink_to(folder / "texts" / label)
    for model in ("TextCNN", "CNN"):
        assert refusal(tmp_path, {"source": "linked/"}, model) == ""


def test_hidden_files_do_not_count(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts" / "a" / ".cache").mkdir(parents=True)
    (tmp_path / "texts" / "a" / ".cache" / "1.png").touch()
    (tmp_path / "texts" / "a" / ".2.png").touch()
    (tmp_path / "texts" / "a" / "1.txt").touch()
    assert refusal(tmp_path, {"source": "texts/"}, "TextCNN") == ""
    assert "CNN takes no text" in refusal(tmp_path, {"source": "texts/"}, "CNN")


def test_building_refuses_rows_that_only_reading_shows() -> None:
    with pytest.raises(DataError, match="CNN takes pictures, but each row of the data has 4 feat"):
        check_fit("CNN", (4,))
