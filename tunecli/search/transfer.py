"""What a new study takes from earlier ones: its first configurations, and lessons for its sampler.

`search.start_with` lists the configurations to try first, or takes them from another study or from
publications.
`search.learn_from` names studies whose trials a sampler sees before a study's first trial. Both
are stored in the study's database when it is created. So a resumed search does the same, even if
the other study has changed or no longer exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import PurePath
from typing import Any

from tunecli.data.rows.summary import DataSummary
from tunecli.database.attributes import Learned, Lesson, StoredAttributes
from tunecli.database.trials import Trial
from tunecli.database.write import StudyDatabase
from tunecli.search.resume import StoredStudy, stored_objective
from tunecli.search.study.front import FrontTracker
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.suggest.enumeration import Point
from tunecli.study_file.locate_config import match
from tunecli.study_file.read_start_with import TUNED, StartFrom
from tunecli.study_file.settings.settings import DataSettings, TrialConfig, ValidationSettings
from tunecli.study_file.space.tree import DATA_SLOTS, SETTINGS
from tunecli.study_file.study_file import Study
from tunecli.study_file.text.counts import count
from tunecli.study_file.tuned_defaults import tuned_starts
from tunecli.training.outcome.failure_reasons import says_out_of_memory

_START_WITH = ("search", "start_with", "study")
_LEARN_FROM = ("search", "learn_from")


def start_points(study: Study, summary: DataSummary, study_folder: StudyFolder) -> Sequence[Point]:
    """Return partial parameter assignments for a study's first trials.

    Args:
        study: a completed study file.
        summary: of its data.
        study_folder: the study's folder; another study is searched for in the same `runs` or
            database.

    Raises:
        StudyFileError: the other study does not exist, or it optimizes something else.
    """
    if study.start_from is None:
        return study.start_with
    if study.start_from == TUNED:
        return [start.point for start in tuned_starts(study, summary.n_search)]
    assert isinstance(study.start_from, StartFrom)
    name = study.start_from.study
    database = _opened(study_folder, name)
    if database is None:
        message = (
            f"study {name} does not exist in {study_folder.runs.resolve()}. Run it first, or list "
            "the configurations here."
        )
        raise study.error([(_START_WITH, message)])
    with closing(database):
        _refuse_other_objective(study, database.attributes())
        best = _best(database.trials(), study)[: study.start_from.best]
        if not study.start_from.repeat:
            return _unknown(study, best, summary, StoredStudy.read(database))
    return [_located(study, trial) for trial in best]


def start_sources(study: Study, summary: DataSummary) -> Iterator[str]:
    """Yield a sentence on each first trial that takes a published configuration."""
    if study.start_from == TUNED:
        for number, start in enumerate(tuned_starts(study, summary.n_search)):
            left_out = f"; not applied: {', '.join(start.left_out)}" if start.left_out else ""
            yield (
                f"trial {number} starts with the published defaults of {start.default.model.name} "
                f"({count(len(start.point), 'parameter')}; {start.default.source}){left_out}"
            )


def _located(study: Study, trial: Trial) -> Point:
    """Return a trial's values; those outside the current ranges are left to the sampler."""
    return match(study.tree, trial.config, trial.params).answers


def _unknown(
    study: Study, best: Sequence[Trial], summary: DataSummary, theirs: StoredStudy
) -> Sequence[Point]:
    """Return the points of the trials that this study would not merely repeat, each once."""
    is_other = any(_differences(theirs, study, summary))
    lessons = [] if is_other else [_lesson(study, trial) for trial in best]
    known = [lesson.params for lesson in lessons if isinstance(lesson, Lesson)]
    points: list[Point] = []
    for point in (_located(study, trial) for trial in best):
        if point and point not in known and point not in points:
            points.append(point)
    return points


def _refuse_other_objective(study: Study, source: StoredAttributes) -> None:
    assert isinstance(study.start_from, StartFrom)
    ours = tuple(stored_objective(objective) for objective in study.objectives)
    if (source.objectives or (source.objective,)) != ours:
        wanted = " and ".join(f"{one.direction} {one.metric}" for one in ours)
        message = (
            f"study {study.start_from.study} does not {wanted}, so its best trials may not be "
            "good for this study. Name another study, or list the configurations here."
        )
        raise study.error([(_START_WITH, message)])


def learn(study: Study, summary: DataSummary, study_folder: StudyFolder) -> tuple[Learned, ...]:
    """Read the trials of the studies in `search.learn_from` that fit this study.

    Args:
        study: a completed study file.
        study_folder: the study's folder; the others are searched for in the same `runs` or
            database.

    Raises:
        StudyFileError: a study does not exist, or its scores are not comparable.
    """
    return tuple(_learn(study, summary, study_folder, name) for name in study.search.learn_from)


def _learn(study: Study, summary: DataSummary, study_folder: StudyFolder, name: str) -> Learned:
    database = _opened(study_folder, name) if name != study.name else None
    if database is None:
        problem = (
            f"study {name} cannot learn from itself"
            if name == study.name
            else f"study {name} does not exist in {study_folder.runs.resolve()}"
        )
        message = f"{problem}. Name a study that has trials, or remove {name}."
        raise study.error([(_LEARN_FROM, message)])
    with closing(database):
        theirs = StoredStudy.read(database)
    if differences := " and different ".join(_differences(theirs, study, summary)):
        message = (
            f"study {name} has different {differences}, so its scores do not apply here. "
            f"Remove {name}."
        )
        raise study.error([(_LEARN_FROM, message)])
    outcomes = [_lesson(study, trial) for trial in theirs.trials]
    reasons = Counter(reason for reason in outcomes if isinstance(reason, str))
    lessons = tuple(lesson for lesson in outcomes if isinstance(lesson, Lesson))
    return Learned(name, len(outcomes), lessons, dict(reasons.most_common()))


def _opened(study_folder: StudyFolder, name: str) -> StudyDatabase | None:
    """Open another study in the same `runs` or database; None if there is none of that name."""
    other = StudyFolder(study_folder.runs, name, study_folder.storage)
    return StudyDatabase.open(other.url, name)


def _differences(theirs: StoredStudy, study: Study, summary: DataSummary) -> list[str]:
    """Return the parts that make the scores of two studies incomparable, whatever the trial."""
    before, now = _comparable(theirs.study, theirs.summary), _comparable(study, summary)
    is_other = {"data": not theirs.summary.has_content_of(summary)}
    return [name for name in now if is_other.get(name) or before[name] != now[name]]


def _comparable(study: Study, summary: DataSummary) -> dict[str, Any]:
    """Return what scores depend on in every trial of a completed study, by its name."""
    return {
        "data": (summary.n_search, _facts(study.data)),
        "validation": _facts(study.validation),
        "objectives": study.objectives,
        "constraints": study.constraints,
    }


def _facts(settings: DataSettings | ValidationSettings) -> dict[str, Any]:
    """Return the settings that decide which rows are scored; a file by its name alone."""
    apart = {"source", "root", "download", "arguments", "racing", *DATA_SLOTS}
    facts = settings.model_dump(exclude=apart)
    return {k: PurePath(v).name if isinstance(v, str) else v for k, v in facts.items()}


def _lesson(study: Study, trial: Trial) -> Lesson | str:
    """Return what a trial teaches, or in a few words why it teaches nothing here."""
    if trial.outcome is None:
        return "no result yet"
    if trial.outcome == "failed" and not says_out_of_memory(trial.reason):
        return "no result"
    if trial.outcome == "pruned" and trial.n_waiting:
        return "a score of fewer folds"
    located = match(study.tree, trial.config, trial.params)
    if located.misfits:
        return located.misfits[0]
    config = study.resolve(lambda name, _: located.answers[name])
    for part in ("data", "train", "model", "loss", "optimizer", "schedule", *SETTINGS):
        before, now = (_part(one, part) for one in (trial.config, config))
        if before != now:
            return f"another {part}"
    return Lesson(located.answers, trial.outcome, trial.reason, trial.value, trial.n_evaluations)


def _part(config: TrialConfig, part: str) -> Any:
    """Return one part of a configuration, without the settings that no score depends on."""
    settings = getattr(config, part)
    if part == "data":
        return settings.scale, settings.augment
    return settings.model_dump(exclude={"max_time"}) if part == "training" else settings


def _best(trials: Sequence[Trial], study: Study) -> list[Trial]:
    """Return complete trials, the best in the first objective first; ties by number.

    With several objectives, the trials on the Pareto front come first.
    """
    directions = [objective.direction for objective in study.objectives]
    sign = -1 if directions[0] == "maximize" else 1
    front = FrontTracker(directions, trials)
    complete = [trial for trial in trials if trial.values]
    return sorted(complete, key=lambda trial: (trial not in front, sign * trial.values[0]))
