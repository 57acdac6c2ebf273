"""The sentence about models whose learning rates follow their width (`parametrization: mup`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tunecli.study_file.catalogue.parametrizations import base_width


def mup_text(models: Iterable[Mapping[str, Any]]) -> str:
    """Return the base widths of models by their arguments; empty if none has a base width."""
    widths = sorted({width for model in models if (width := base_width(model)) is not None})
    if not widths:
        return ""
    listed = " and ".join(f"{width:,}" for width in widths)
    return (
        f"base width {listed}: initial weights and learning rates follow the width, so the best "
        "lr of a narrow model suits a wide one"
    )


def trial_mup_text(config: Mapping[str, Any] | None) -> str:
    """Return `mup_text` of a trial's stored configuration."""
    model = (config or {}).get("model") or {}
    return mup_text([model.get("arguments") or {}])
