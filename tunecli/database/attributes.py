"""The attributes of a study as a whole, one field each: its file, its data, its edits.

They are stored as JSON in Optuna's table of study user attributes, under `tunecli:<field>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from tunecli.data.rows.summary import DataSummary
from tunecli.study_file.catalogue.model_files import ModelFiles
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.adjustment import Adjustment
from tunecli.training.outcome.evaluation import Baseline, Outcome

FORMAT = 1  # highest `tunecli:format` that this program can read

_SHOWN = 4  # reasons that a line lists


@dataclass(frozen=True)
class RecordedObjective:
    """One objective. Attributes: `metric`: its name, or `value 1` in a study without names."""

    metric: str = "value"
    direction: Direction = "minimize"


@with_config(ConfigDict(extra="allow"))
class StoredEdit(TypedDict, total=False):
    """An entry of `tunecli:edits`; older entries may have fewer keys."""

    first_trial: int | str | None
    changes: list[str]
    study_file: str
    overrides: list[str]


@dataclass(frozen=True)
class StoredLook:
    """An entry of `tunecli:test_looks`: a model of a trial was scored on the test rows.

    Entries of earlier versions lack what has a default here.

    Attributes:
        at: UTC, ISO 8601.
        score: value of the objective, by the same rule as in the search: without a temperature or
            a threshold of the model; `low` to `high` is its 95 % interval. None if not finite.
        n_networks: number of networks whose mean was scored.
        n_trials: number of trials of an ensemble; `trial` is the one that counts most.
        single: mean score of its single parts as the search scored them; None if there is one.
        of_folds: mean score of the search's fold models one by one on the same rows; None if the
            search kept none, or for a model of another compression.
        compressed: whether the model was compressed in another way than in the search.
        n_test: number of test rows.
        n_fold: mean number of validation rows of one fold.
        n_valid: number of independent validation rows that give the search's score the same
            variance, for rows of equal variance.
    """

    trial: int
    at: str
    score: float | None
    low: float | None
    high: float | None
    n_networks: int = 1
    n_trials: int = 1
    single: float | None = None
    compressed: bool = False
    n_test: int | None = None
    n_fold: float | None = None
    n_valid: float | None = None
    of_folds: float | None = None


@dataclass(frozen=True)
class Lesson:
    """The end of a trial of another study, expressed in this study's search space.

    Attributes:
        params: parameters by this study's names.
        n_evaluations: number of evaluations that the trial reached.
    """

    params: dict[str, Scalar]
    outcome: Outcome
    reason: str
    value: float | None
    n_evaluations: int

    @property
    def values(self) -> tuple[float, ...]:
        """The value of the objective; studies that learn have one. Empty unless complete."""
        return (self.value,) if self.outcome == "complete" and self.value is not None else ()

    @property
    def violations(self) -> dict[str, float]:
        """Always empty: violations of another study are not known."""
        return {}


@dataclass(frozen=True)
class Learned:
    """The lessons that a new study learned from one other study.

    Attributes:
        study: name of the other study.
        n_trials: number of its trials.
        lessons: one per trial that fits this study's space.
        left_out: number of trials that do not fit, by reason.
    """

    study: str
    n_trials: int
    lessons: tuple[Lesson, ...]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        n = self.n_trials
        source = f"from {len(self.lessons)} of {n} trial{'' if n == 1 else 's'} of {self.study}"
        reasons = [f"{count} with {reason}" for reason, count in [*self.left_out.items()][:_SHOWN]]
        reasons += ["others"] if len(self.left_out) > _SHOWN else []
        return f"{source}; left out: {', '.join(reasons)}" if reasons else source


@dataclass(frozen=True, kw_only=True)
class StudyAttributes:
    """What a search was called with and what it found out; empty in a study of another program.

    Attributes:
        file, study_file, overrides: what the search was called with: the file's name, its text,
            and `path=value`.
        resolved: the study file with every default, YAML.
        summary: summary of the data; None before it was read.
        environment: versions, numerics, device and CPU of the first call.
        edits: `{"first_trial", "changes", …}` of every edit of the study file.
        baselines: untuned models on the same folds; empty before they are known. Those without
            scores have a note.
        metric_titles: what people read instead of the name of a metric, with what it averages:
            `f1_binary` is `f1 of 'yes'`; None in studies of versions without it.
        learned: what the sampler learned from other studies' trials.
        test_looks: scores of models on the test rows, the newest last.
        adjustment: temperature and threshold of the model that was made last; None in studies of
            earlier versions.
        code: hash of each of the user's own files and packages at the first trial.
        loaded_code: content hash of each file that was imported, by its path from the study file's
            folder.
        model_files: the files that models start from, at the first trial; empty in studies of
            versions that did not store it.
        spares_untrained: whether trials that break a limit before their training are free, as in
            every study that this version begins.
    """

    file: str = ""
    study_file: str = ""
    overrides: tuple[str, ...] = ()
    resolved: str = ""
    summary: DataSummary | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    edits: tuple[StoredEdit, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    metric_titles: Mapping[str, str] | None = None
    learned: tuple[Learned, ...] = ()
    test_looks: tuple[StoredLook, ...] = ()
    adjustment: Adjustment | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    loaded_code: Mapping[str, str] = field(default_factory=dict)
    model_files: ModelFiles = field(default_factory=dict)
    spares_untrained: bool = False

    @property
    def newest(self) -> tuple[str, tuple[str, ...]]:
        """The text of the study file that a search used last, and its overrides."""
        edit = next((edit for edit in reversed(self.edits) if "study_file" in edit), StoredEdit())
        return edit.get("study_file", self.study_file), tuple(
            edit.get("overrides", self.overrides)
        )


@dataclass(frozen=True, kw_only=True)
class StoredAttributes(StudyAttributes):
    """All attributes of a study, with those that only a resume needs.

    Attributes:
        format: see `FORMAT`.
        objective, objectives: the first objective, and all; an earlier version stored one.
        parallel: `search.parallel` of the first call; later values are in `edits`.
        start_with: partial parameter assignments of the first trials.
    """

    format: int = FORMAT
    objective: RecordedObjective = field(default_factory=RecordedObjective)
    objectives: tuple[RecordedObjective, ...] = ()
    parallel: int = 0
    start_with: tuple[dict[str, Scalar], ...] = ()


_STORED = TypeAdapter(StoredAttributes)


def validated_attributes(values: Mapping[str, Any]) -> StoredAttributes:
    """Return the attributes of a study from their JSON values.

    Raises:
        ValueError: they are damaged.
    """
    return _STORED.validate_python(values)
