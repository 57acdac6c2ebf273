"""Check before any trial that Optuna accepts the arguments of the sampler and the pruner.

The study file's own rules (`study_file/read/sampler_rules.py`) check what is known in advance;
this module checks what only Optuna's constructors know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Path


def refuse_what_optuna_refuses(study: StudyFile) -> None:
    """Build the sampler and the pruner once, if they have arguments.

    Raises:
        StudyFileError: Optuna refuses them; the message is Optuna's.
    """
    sampler, pruner = study.search.sampler, study.search.pruner
    mistakes: list[tuple[Path, str]] = []
    if sampler.arguments:
        branches = any(parameter.conditions for parameter in study.parameters)
        mistakes += _attempt("sampler", lambda: _build_sampler(sampler, branches=branches))
    if pruner is not None and pruner.arguments:
        mistakes += _attempt("pruner", lambda: _build_pruner(pruner))
    if mistakes:
        raise study.error(mistakes)


def _build_sampler(sampler: Component, *, branches: bool) -> None:
    from tunecli.search.suggest.samplers import (  # imports Optuna, which is slow
        KINDS,
        make_sampler,
    )
    from tunecli.search.suggest.tpe import TrialRows

    if KINDS[sampler.name].continues != "enumerated":
        make_sampler(sampler, 0, 0, TrialRows(), branches=branches)


def _build_pruner(pruner: Component) -> None:
    from tunecli.search.prune.halving import HALVING, Halving
    from tunecli.search.prune.judge import make_pruner
    from tunecli.search.prune.warmup_share import at_length

    if pruner.name in HALVING:
        Halving.of(pruner, n_evaluations=10, bracket=0)
    else:
        make_pruner(at_length(pruner, n_evaluations=10))


def _attempt(setting: str, build: Callable[[], object]) -> Iterator[tuple[Path, str]]:
    try:
        build()
    except (ValueError, TypeError) as error:
        yield ("search", setting), str(error)
