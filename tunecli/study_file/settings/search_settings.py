"""The settings of a search: its budget, sampler and pruner, and how trials share the machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tunecli.study_file.settings.setting_types import Duration, Off, OnEdit, Positive, Words
from tunecli.study_file.settings.settings import Component, Settings

_BUDGET, _SEARCH = OnEdit("budget"), OnEdit("search")

AUTO = Component(name="auto")
"""Stands for a sampler only until a whole study file is read: `automatic_sampler.py`."""

FOLLOWS_EVIDENCE = ("sampler", "pruner", "parallel")
"""Settings whose defaults may change between versions; a study keeps those that it began with."""


class SearchSettings(Settings):
    """Search of the space. Budgets can be changed between calls."""

    trials: Annotated[Positive, _BUDGET] = 50
    """total number of trials of the study; a resumed study continues up to it."""
    timeout: Annotated[Duration | None, _BUDGET] = None
    """time limit per call of `search`, such as 90m or 2h; no trial is started after it; at most
    ten years.
    """
    sampler: Annotated[Component, _SEARCH] = AUTO
    """a class of optuna.samplers, or auto: tunecli chooses, and `check` says what and why."""
    pruner: Annotated[Component | None, _SEARCH] = Component(
        name="MedianPruner", arguments={"warmup": 0.33}
    )
    """a class of optuna.pruners."""
    parallel: Annotated[Positive, _SEARCH] = 4
    """largest number of trials at once; trial n is suggested from trials 0 … n - parallel.
    Twice the number of workers keeps all of them busy.
    """
    order: Annotated[Literal["exact", "free"], _SEARCH] = "exact"
    """exact (equal results for any number of jobs) or free (uses every result so far)."""
    attempts: Annotated[Positive, _BUDGET] = 3
    """number of times to run a trial whose worker dies."""
    baselines: Annotated[bool, _BUDGET] = True
    """whether to score untuned scikit-learn models on the same folds, once."""
    keep_models: Annotated[int, Field(ge=0), Off(0), _BUDGET] = 1
    """number of best trials whose fold models stay in the study's folder, for `tunecli refit
    --as-searched`.
    """
    keep_predictions: Annotated[int, Field(ge=0), Off(0), _BUDGET] = 50
    """number of best trials whose out-of-fold predictions stay in the study, for `tunecli refit
    --ensemble`; fewer if they take more than 256 MiB.
    """
    learn_from: Words = Field(default=[])
    """studies with the same data, validation and objective; before the first trial, TPE or GP
    learns from their trials that fit this space.
    """
