"""The Python examples on studies in the guide run as they are written."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
from formula_executor import FormulaExecutor
from locations import PACKAGE, STUDIES

from tunecli.notebook.frames import BASELINES, CURVES, FINDINGS, FOLDS
from tunecli.notebook.loaded_study import LoadedStudy
from tunecli.search.workers.executor import EXECUTORS

SECTION = (PACKAGE / "guide/report.md").read_text().partition("## From Python\n")[2]
SECTION = SECTION.partition("\n## ")[0]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the examples define, one after the other, with formulas in place of training."""
    pytest.importorskip("plotly")
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(STUDIES, folder / "studies")
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.setitem(EXECUTORS, "local", FormulaExecutor)
        patch.setattr("tunecli.search.workers.local.start_server", lambda: None)
        for example in EXAMPLES:
            exec(example, found)
    return found


def test_the_examples_run_and_give_what_they_say(names: dict[str, Any]) -> None:
    study = names["study"]
    assert isinstance(study, LoadedStudy)
    assert len(study.trials) == 30
    assert names["best"].value == study.trials.value.max()
    assert names["curves"].shape[1] == study.curves.trial.nunique()
    assert list(names["folds"].columns) == [0, 1]
    assert {*names["data"]} == {"data", "layout"}
    assert names["optuna_study"].best_trial.number == study.best


def test_every_column_is_in_the_table_of_its_frame(names: dict[str, Any]) -> None:
    study = names["study"]
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", SECTION, re.MULTILINE))
    plain = [name for name in study.trials.columns if "." not in name]
    for table, columns in {
        "trials": [*plain, "fold.<n>", "metric.<name>", "param.<name>", "value.<metric>"],
        "curves": CURVES,
        "folds": [*FOLDS, "metric.<name>"],
        "findings": FINDINGS,
        "baselines": [*BASELINES, "fold.<n>", "metric.<name>"],
    }.items():
        assert re.findall("`([^`]+)`", rows[table].replace("`--all`", "")) == [*columns]


def test_the_figures_that_the_guide_names_exist(names: dict[str, Any]) -> None:
    figures = names["study"].figures
    for name in ("history", "importance", "parameter:", "learning:"):
        assert any(figure.startswith(name) for figure in figures)
