"""Studies of training loops of one's own, whose models are scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.model_folder.refitting import RefitTrial
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.study_file import StudyFile

CODE = '''
import json
import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

def fit(config, fold, report):
    """Regularizes less from step to step."""
    facts = {"is_refit": fold.is_refit, "trial": fold.trial, "study": fold.study}
    facts |= {"n_train": len(fold.x_train), "n_valid": len(fold.x_valid), "seed": fold.seed}
    for step in range(5):
        model = LogisticRegression(C=10.0**step, max_iter=9000, tol=1e-9)
        model.fit(fold.x_train.double(), fold.y_train)
        hits = model.predict_proba(fold.x_valid).argmax(1) == fold.y_valid.numpy() if len(
            fold.x_valid) else np.zeros(1)
        if report({"accuracy": config.get("accuracy", hits.mean())}, step):
            (fold.keep / "weights").mkdir(exist_ok=True)
            np.save(fold.keep / "weights" / "coef.npy", model.coef_)
            np.save(fold.keep / "weights" / "intercept.npy", model.intercept_)
            (fold.keep / "facts.json").write_text(json.dumps(facts | {"step": step}))

def predict(folder, x):
    logits = x.numpy() @ np.load(folder / "weights" / "coef.npy").T
    logits = logits + np.load(folder / "weights" / "intercept.npy")
    scores = np.exp(logits - logits.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)

def load_network(folder):
    print("loading")
    coef, intercept = (np.load(folder / "weights" / f"{n}.npy") for n in ("coef", "intercept"))
    linear = torch.nn.utils.skip_init(torch.nn.Linear, coef.shape[1], coef.shape[0])
    linear.load_state_dict({"weight": torch.tensor(coef), "bias": torch.tensor(intercept)})
    return torch.nn.Sequential(linear, torch.nn.Softmax(1))

def forgets(config, fold, report):
    report({"accuracy": 0.5})

def raises(config, fold, report):
    raise ZeroDivisionError("by zero")

def diverges(config, fold, report):
    report({"accuracy": float("nan")})
'''

VALUES = """
import json
import torch
from sklearn.linear_model import LinearRegression

def fit(config, fold):
    model = LinearRegression().fit(fold.x_train, fold.y_train)
    if (yield {"rmse": 1.0}):
        weights = [*model.coef_.tolist(), float(model.intercept_)]
        (fold.keep / "weights.json").write_text(json.dumps(weights))

def predict(folder, x):
    *coef, intercept = json.loads((folder / "weights.json").read_text())
    return x.double().numpy() @ coef + intercept

def load_network(folder):
    *coef, intercept = json.loads((folder / "weights.json").read_text())
    linear = torch.nn.utils.skip_init(torch.nn.Linear, len(coef), 1)
    weights = {"weight": torch.tensor([coef]), "bias": torch.tensor([intercept])}
    linear.load_state_dict(weights)
    return linear
"""

STUDY = "data: {source: iris, test: 0.2}\nvalidation: {folds: 3}\ntrain: own.py:fit\n"


@dataclass
class OwnStudy:
    workspace: Workspace
    store: FoldStore
    trial: RefitTrial


def own_study(
    folder: Path, text: str = STUDY, code: str = CODE, best_step: int = 2, **arguments: object
) -> OwnStudy:
    (folder / "own.py").write_text(f"{code}\n# {folder}\n")
    allowed = AllowedCode.of(folder, [str(folder / "own.py")])
    permit(allowed)
    study = StudyFile.from_text(text, str(folder / "own.yaml"), code=allowed)
    task = "regression" if "diabetes" in text else "classification"
    config = study.completed(task, 150, ()).resolve(lambda name, range_: range_)
    if arguments:
        train = config.train.model_copy(update={"arguments": arguments})  # type: ignore[union-attr]
        config = config.model_copy(update={"train": train})
    workspace = Workspace(folder, None, allowed)
    store = FoldStore(config.data, config.validation, workspace)
    return OwnStudy(workspace, store, RefitTrial("own", 4, config, best_step, (0.9, 0.8, 0.7)))
