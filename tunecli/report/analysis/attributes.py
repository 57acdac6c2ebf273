"""What tunecli stores on a study as a whole: its file, its data, its edits."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from tunecli.data.rows.summary import DataSummary
from tunecli.database.learned_trials import Learned
from tunecli.errors import DatabaseError
from tunecli.report.analysis import queries
from tunecli.training.outcome.evaluation import Baseline

FORMAT = 1  # highest `tunecli:format` that this program can read


class StoredObjective(BaseModel):
    """The attribute `tunecli:objective`; a study of another program optimizes `value`."""

    model_config = ConfigDict(frozen=True)

    metric: str = "value"
    direction: str = ""


class StoredEdit(BaseModel):
    """An entry of `tunecli:edits`; older entries may have fewer keys."""

    model_config = ConfigDict(extra="allow", frozen=True)

    first_trial: int | str | None = None
    changes: list[str] = []
    study_file: str = ""
    overrides: list[str] = []


class StoredLook(BaseModel):
    """An entry of `tunecli:test_looks`: a model of a trial was scored on the test rows.

    Attributes:
        at: UTC, ISO 8601.
        score: value of the objective; `low` to `high` is its 95 % interval. None if not finite.
    """

    model_config = ConfigDict(frozen=True)

    trial: int
    at: str
    score: float | None
    low: float | None
    high: float | None


class StudyAttributes(BaseModel):
    """User attributes of a study, see `database.schema`; empty for a study of another program."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    objective: StoredObjective = StoredObjective()
    objectives: tuple[StoredObjective, ...] = ()
    file: str = ""
    study_file: str = ""
    overrides: tuple[str, ...] = ()
    resolved: str = ""
    summary: DataSummary | None = None
    environment: dict[str, Any] = {}
    edits: tuple[StoredEdit, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    learned: tuple[Learned, ...] = ()
    test_looks: tuple[StoredLook, ...] = ()
    code: dict[str, str] = {}
    loaded_code: dict[str, str] = {}


def read_attributes(opened: Connection, study_id: int, name: str) -> StudyAttributes:
    """Read the attributes of a study.

    Raises:
        DatabaseError: a newer version of tunecli wrote the study.
        ValueError: the attributes are damaged.
    """
    values = {
        row.key.removeprefix("tunecli:"): json.loads(row.value_json)
        for row in queries.rows(opened, queries.ATTRIBUTES, study=study_id)
        if row.key.startswith("tunecli:")
    }
    stored = values.get("format", FORMAT)
    if stored > FORMAT:
        raise DatabaseError(
            f"Study `{name}` was written by a newer version of tunecli (format {stored}; this "
            f"version reads up to format {FORMAT}). Update tunecli to read it."
        )
    return StudyAttributes.model_validate(values)
