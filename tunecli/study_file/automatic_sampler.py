"""Choose the sampler of `sampler: auto`, the default, by rules that were measured.

`python -m tests.benchmarks.defaults` compares samplers; `tunecli guide settings` has its table.
The choice depends on the study file alone, and is stored with the study: raising `search.trials`
does not change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.ranges import Parameter
from tunecli.study_file.settings.search_settings import AUTO
from tunecli.study_file.settings.settings import Component


@dataclass(frozen=True)
class SamplerChoice:
    """The sampler that `auto` takes.

    Attributes:
        reason: why, as the end of a sentence.
    """

    sampler: Component
    reason: str


def with_sampler(sections: Sections, parameters: Sequence[Parameter]) -> tuple[Sections, str]:
    """Return the sections with a sampler in place of `auto`, and why this one."""
    if sections.search.sampler != AUTO:
        return sections, ""
    choice = choose_sampler(len(sections.objectives), parameters)
    search = sections.search.model_copy(update={"sampler": choice.sampler})
    return replace(sections, search=search), choice.reason


def choose_sampler(n_objectives: int, parameters: Sequence[Parameter]) -> SamplerChoice:
    """Return the sampler for a study.

    Args:
        n_objectives: 0 if the file names none, which means one.
        parameters: all searched parameters.
    """
    conditional = sum(bool(parameter.conditions) for parameter in parameters)
    if n_objectives > 1:
        return SamplerChoice(_tpe(), "it learns from several objectives and from limits")
    if conditional:
        return SamplerChoice(_tpe(), "it models each branch with its own parameters")
    return SamplerChoice(
        _tpe(multivariate=False),
        "without branches, it was best at 40 trainings when it models each parameter by itself",
    )


def _tpe(**arguments: object) -> Component:
    return Component(name="TPESampler", arguments={**arguments})
