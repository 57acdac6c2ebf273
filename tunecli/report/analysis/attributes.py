"""What tunecli has stored on a study as a whole: its file, its data, its edits."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from tunecli.data.rows.summary import DataSummary
from tunecli.database.lessons import Learned
from tunecli.errors import DatabaseError
from tunecli.report.analysis import queries
from tunecli.training.outcome.evaluation import Baseline

FORMAT = 1  # of `tunecli:format`: what this program can read


class StoredObjective(BaseModel):
    """`tunecli:objective`; `value` is what a study of another program optimizes."""

    model_config = ConfigDict(frozen=True)

    metric: str = "value"
    direction: str = ""


class StoredEdit(BaseModel):
    """An entry of `tunecli:edits`; older ones may know less."""

    model_config = ConfigDict(extra="allow", frozen=True)

    first_trial: int | str | None = None
    changes: list[str] = []
    study_file: str = ""
    overrides: list[str] = []


class StoredLook(BaseModel):
    """An entry of `tunecli:test_looks`: a model of a trial was scored on the test rows.

    Attributes:
        at: UTC, ISO 8601.
        score: of the objective; `low` to `high` is its 95 % interval. None if not finite.
    """

    model_config = ConfigDict(frozen=True)

    trial: int
    at: str
    score: float | None
    low: float | None
    high: float | None


class StudyAttributes(BaseModel):
    """User attributes of a study, see `database.schema`; all empty for another program's."""

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
    """Read them.

    Raises:
        DatabaseError: the study is of a newer tunecli.
        ValueError: they are damaged.
    """
    found = {
        row.key.removeprefix("tunecli:"): json.loads(row.value_json)
        for row in queries.rows(opened, queries.ATTRIBUTES, study=study_id)
        if row.key.startswith("tunecli:")
    }
    stored = found.get("format", FORMAT)
    if stored > FORMAT:
        raise DatabaseError(
            f"Study `{name}` is of a newer tunecli (format {stored}; this one reads up to "
            f"{FORMAT}). Update tunecli to read it."
        )
    return StudyAttributes.model_validate(found)
