"""Describe a model in its manifest: what made it, what it takes, and what it predicts."""

from __future__ import annotations

import platform

import numpy as np
import safetensors
import sklearn
import torch

from tunecli import __version__
from tunecli.data.fold_store import FoldStore
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.study_file.catalogue.code_hashes import OF_FILES
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.models.auto_models import library_versions


def manifest_of(
    study: str,
    number: int,
    config: TrialConfig,
    store: FoldStore,
    members: tuple[MemberManifest, ...],
) -> Manifest:
    """Return the content of `model.json` for a model of a study's trial."""
    dataset = store.dataset
    return Manifest.model_validate(
        {
            "study": study,
            "trial": number,
            "config": config,
            "task": dataset.task,
            "classes": tuple(dataset.classes),
            "targets": dataset.targets,
            "columns": dataset.columns,
            "texts": dataset.text_columns,
            "row_shape": tuple(dataset.x.shape[1:]),
            "row_dtype": _row_dtype(dataset.x.dtype, members[0]),
            "depth": dataset.depth,
            "members": members,
            "fingerprint": dataset.fingerprint,
            "code": _code_hash(config, store),
            "versions": versions() | library_versions(config.model.name),
        }
    )


def _code_hash(config: TrialConfig, store: FoldStore) -> dict[str, str]:
    """Return the hash of the model's user code by its `--code` option; empty for packages."""
    name = CodeName.parse((config.train or config.model).name)
    content = (store.workspace.code.hash_of(name) if name else None) or ""
    return {name.to_allow: content} if name and content.startswith(OF_FILES) else {}


def _row_dtype(dtype: torch.dtype, member: MemberManifest) -> str:
    """Return the type of rows to predict; scaled integer columns may then have fractions."""
    if dtype == torch.int64 and member.preprocessing != "integers":
        return "float64"
    return str(dtype).removeprefix("torch.")


def versions() -> dict[str, str]:
    """Return the versions of the packages that train and store a model."""
    return {
        "tunecli": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "safetensors": safetensors.__version__,
    }
