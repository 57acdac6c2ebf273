"""The training loop in the guide trains, is kept, refitted, and predicts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from locations import PACKAGE

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.model_folder.fold_models import as_searched
from tunecli.model_folder.refitting import RefitTrial, refit_seeds
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import conclude
from tunecli.training.user_loop.user_trial import UserTrial

SECTION = (PACKAGE / "guide/own-code.md").read_text()
SECTION = SECTION.partition("## The model of your training loop\n")[2]
EXAMPLE, _ = re.findall(r"^```python\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
STUDY = """
data: digits
validation: {folds: 2}
train: {loop.py:fit: {alpha: 0.001}}
"""


def test_the_loop_of_the_guide_becomes_a_model(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(EXAMPLE)
    allowed = AllowedCode.of(tmp_path, [str(tmp_path / "loop.py")])
    permit(allowed)
    study = StudyFile.from_text(STUDY, str(tmp_path / "loop.yaml"), code=allowed)
    config = study.completed("classification", 1797, ()).resolve(lambda name, range_: range_)
    store = FoldStore(config.data, config.validation, Workspace(tmp_path, None, allowed))
    trial = UserTrial("loop", 0, tmp_path / "checkpoints", tmp_path / "best")
    training = CrossValidation(config, folds_of(store, config), choose_device("cpu"), trial)
    assert len(list(training)) == 10
    conclude(training).keep(tmp_path / "best")
    result = training.result()
    training.close()
    assert result.value is not None
    assert result.value > 0.9
    refit = RefitTrial("loop", 0, config, result.best_step or 0, result.fold_scores)
    y = store.dataset.y[store.split.test_rows].numpy()
    for made in (*refit_seeds(refit, store), as_searched(refit, store, tmp_path / "best")):
        assert made.predictions is not None
        assert np.mean(made.predictions.argmax(1) == y) > 0.9
    permit(AllowedCode(Path()))
