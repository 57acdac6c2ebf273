"""Whether Optuna takes the sampler and the pruner as they are written: found before any trial."""

from __future__ import annotations

from collections.abc import Callable

from tunecli.errors import Problem, StudyFileError
from tunecli.search.halving import HALVING, Halving
from tunecli.search.pruning import make_pruner
from tunecli.search.samplers import KINDS, make_sampler
from tunecli.study_file.study_file import StudyFile


def refuse_what_optuna_refuses(study: StudyFile) -> None:
    """Build the sampler and the pruner once.

    Raises:
        StudyFileError: with Optuna's own words.
    """
    sampler, pruner = study.search.sampler, study.search.pruner
    problems = []
    if KINDS[sampler.name].continues != "enumerated":
        branches = any(parameter.conditions for parameter in study.parameters)
        problems += _attempt("sampler", lambda: make_sampler(sampler, 0, 0, branches=branches))
    if pruner is not None and pruner.name in HALVING:
        problems += _attempt("pruner", lambda: Halving.of(pruner, n_evaluations=10, bracket=0))
    elif pruner is not None:
        problems += _attempt("pruner", lambda: make_pruner(pruner))
    if problems:
        raise StudyFileError(study.file, problems)


def _attempt(setting: str, build: Callable[[], object]) -> list[Problem]:
    try:
        build()
    except (ValueError, TypeError) as error:
        return [Problem(0, 0, f"search.{setting}", str(error))]
    return []
