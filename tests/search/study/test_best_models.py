"""Models of the best trials: which stay, and what is read back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training_cases import trial

from tunecli.errors import DataError
from tunecli.search.study.best_models import BestModels
from tunecli.training.saved_models import keep_models, load_network, read_models

CONFIG = trial()
WEIGHTS = [{"weight": torch.full((2, 3), float(i)), "bias": torch.zeros(2)} for i in range(2)]


def ended(number: int, value: float | None) -> Any:
    values = () if value is None else (value,)
    return SimpleNamespace(number=number, value=value, values=values, outcome="complete")


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    keep_models(tmp_path / "3", CONFIG, iter(WEIGHTS))
    for fold, kept in enumerate(read_models(tmp_path / "3", CONFIG)):
        layer = load_network(kept, torch.nn.Linear(3, 2))
        assert torch.equal(layer.state_dict()["weight"], WEIGHTS[fold]["weight"])
        with pytest.raises(DataError, match="belong to another model"):
            load_network(kept, torch.nn.Linear(4, 2))


@pytest.mark.parametrize("damage", ["flip", "truncate", "no index", "other config", "no json"])
def test_what_is_damaged_or_foreign_is_refused(tmp_path: Path, damage: str) -> None:
    keep_models(tmp_path, CONFIG, WEIGHTS)
    file, index = tmp_path / "fold-1.pt", tmp_path / "models.json"
    content = file.read_bytes()
    config = CONFIG
    if damage == "flip":
        file.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif damage == "truncate":
        file.write_bytes(content[:-9])
    elif damage == "no index":
        index.unlink()
    elif damage == "no json":
        index.write_text("{")
    else:
        config = trial(seed=1)
    with pytest.raises(DataError, match=r"no models in|cannot be used"):
        read_models(tmp_path, config)


@pytest.mark.parametrize("numerics", [2, 3])
def test_models_have_the_numerics_version_of_their_trial(tmp_path: Path, numerics: int) -> None:
    config = CONFIG.model_copy(update={"numerics": numerics})
    keep_models(tmp_path, config, WEIGHTS)
    assert len(read_models(tmp_path, config)) == len(WEIGHTS)
    with pytest.raises(DataError, match="belong to another trial"):
        read_models(tmp_path, config.model_copy(update={"numerics": 5 - numerics}))


def test_models_of_another_numerics_version_are_refused(tmp_path: Path) -> None:
    keep_models(tmp_path, CONFIG, WEIGHTS)
    index = json.loads((tmp_path / "models.json").read_text())
    del index["numerics"]  # as the first version wrote it
    (tmp_path / "models.json").write_text(json.dumps(index))
    with pytest.raises(
        DataError, match=r"version 1 of tunecli's arithmetic, expected version 2\."
    ):
        read_models(tmp_path, CONFIG)


def test_a_setting_that_came_later_does_not_part_a_trial_from_its_models(tmp_path: Path) -> None:
    keep_models(tmp_path, CONFIG, WEIGHTS)
    index = json.loads((tmp_path / "models.json").read_text())
    config = json.loads(index["config"])
    del config["data"]["impute"]  # has its default
    index["config"] = json.dumps(config)
    (tmp_path / "models.json").write_text(json.dumps(index))
    assert len(read_models(tmp_path, CONFIG)) == len(WEIGHTS)


def test_a_pickle_runs_no_code(tmp_path: Path) -> None:
    keep_models(tmp_path, CONFIG, WEIGHTS)
    evil = tmp_path / "fold-0.pt"
    torch.save({"weights": SimpleNamespace()}, evil)
    import hashlib

    index = json.loads((tmp_path / "models.json").read_text())
    index["files"][0] = hashlib.sha256(evil.read_bytes()).hexdigest()
    (tmp_path / "models.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="cannot be used"):
        read_models(tmp_path, CONFIG)


def test_no_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "0").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="0 is a symbolic link to"):
        keep_models(tmp_path / "0", CONFIG, WEIGHTS)
    assert list((tmp_path / "victim").iterdir()) == []


def folders(root: Path) -> set[str]:
    return {folder.name for folder in root.glob("*")}


def test_the_best_stay_and_the_rest_go(tmp_path: Path) -> None:
    kept = BestModels(tmp_path, 2, "minimize")
    assert kept.to_beat is None
    for number, value in enumerate([3.0, None, 1.0, 2.0, 2.0, 5.0]):
        Path(kept.of(number)).mkdir()
        kept.take(ended(number, value))
    assert len(folders(tmp_path)) == 6
    kept.remove_discarded()
    assert folders(tmp_path) == {"2", "3"}
    assert kept.to_beat == 2.0


def test_a_later_search_removes_what_an_earlier_one_could_not(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    running = ended(3, None)
    running.outcome = None
    BestModels(tmp_path, 1, "maximize", [ended(0, 0.1), ended(1, 0.9), ended(2, 0.3), running])
    assert folders(tmp_path) == {"1", "3"}


def test_none_are_kept_if_none_are_wanted(tmp_path: Path) -> None:
    kept = BestModels(tmp_path, 0, "maximize")
    assert kept.of(0) == ""
    kept.take(ended(0, 1.0))
    BestModels(None, 1, "maximize").take(ended(0, 1.0))
