"""What the file writes next to a metric: settings of a single objective, or limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunecli.study_file.settings.setting_types import LARGEST, OnEdit
from tunecli.study_file.settings.settings import Settings


class ObjectiveSettings(Settings):
    """Settings of a single objective; they affect only what reports say."""

    tolerance: Annotated[float | None, Field(ge=0, le=LARGEST), OnEdit("report")] = None
    """largest difference in score that does not matter to you, such as 0.002; the report calls
    trials within it practically equal. Default: a quarter of the standard deviation between folds.
    """


class MetricLimits(Settings):
    """The limits of a metric in its own unit (seconds, bytes)."""

    min: float | None = None
    max: float | None = None
