"""The data sets that come with scikit-learn, which a study file can name as `data`.

The table belongs to the settings because the task decides the loss, the metric and the direction
before any data is read. `tunecli.data.sources` loads the data.
"""

from __future__ import annotations

from types import MappingProxyType

from tunecli.study_file.settings.settings import Task

_TASKS: dict[str, Task] = {
    "breast_cancer": "classification",
    "diabetes": "regression",
    "digits": "classification",
    "iris": "classification",
    "wine": "classification",
}

BUNDLED = MappingProxyType(_TASKS)
"""Task of each bundled data set, by name."""
