"""The command that continues a study, as a user types it."""

from __future__ import annotations

import shlex

from tunecli.database.records import StudyRecord
from tunecli.report.phrases.foreign_text import plain


def search_again(study: StudyRecord, options: str = "") -> str:
    """Return the command that resumes a study; one that has ended gets twice its trials.

    Args:
        study: it has a study file.
        options: those with which `search` finds the study, e.g. `--runs elsewhere`.
    """
    has_ended = study.n_charged and not is_under_way(study)
    more = f"--trials {2 * study.n_charged}" if has_ended else ""
    file = plain(shlex.quote(study.file))
    return " ".join(filter(None, [f"tunecli search {file}", _renamed(study), more, options]))


def is_under_way(study: StudyRecord) -> bool:
    """Return whether a trial runs, or was interrupted: its search has not ended."""
    return any(trial.state == "running" for trial in study.trials)


def _renamed(study: StudyRecord) -> str:
    """Return the option that selects this study if the study file has another name."""
    is_renamed = any(text.partition("=")[0].strip() == "study" for text in study.overrides)
    return f"--as {plain(shlex.quote(study.name))}" if is_renamed else ""
