"""Choose the sampler of `sampler: auto`, the default, by rules that were measured.

`python -m tests.benchmarks.defaults` compares samplers; `tunecli guide study-file` has its table.
The choice depends on the study file alone, and is stored with the study: a later edit of the space
does not change it.
"""

from __future__ import annotations

from dataclasses import replace

from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.search_settings import AUTO
from tunecli.study_file.settings.settings import Component

FEW_TRIALS = 15
"""Largest number of trials of a study in which TPE should learn early."""
EARLY = 5
"""Trials that TPE then draws at random; Optuna's default is 10."""

_SOURCE = "measured: `tunecli guide study-file`"


def with_sampler(sections: Sections) -> tuple[Sections, str]:
    """Return the sections with a sampler in place of `auto`, and why this one."""
    if sections.search.sampler != AUTO:
        return sections, ""
    sampler, why = _choice(len(sections.objectives), sections.search.trials)
    return replace(sections, search=sections.search.model_copy(update={"sampler": sampler})), why


def _choice(n_objectives: int, n_trials: int) -> tuple[Component, str]:
    """Return the sampler for a study, and why, as the end of a sentence.

    Args:
        n_objectives: 0 if the file names none, which means one.
        n_trials: `search.trials`.
    """
    if n_objectives > 1:
        return Component(name="TPESampler"), "it learns from all objectives"
    if n_trials <= FEW_TRIALS:
        why = f"it learns early, which is better in up to {FEW_TRIALS} trials ({_SOURCE})"
        return _tpe(multivariate=False, n_startup_trials=EARLY), why
    return _tpe(multivariate=False), f"of all samplers, it found the best trials ({_SOURCE})"


def _tpe(**arguments: object) -> Component:
    return Component(name="TPESampler", arguments=arguments)
