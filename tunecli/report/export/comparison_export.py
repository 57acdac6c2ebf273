"""A comparison of studies as JSON.

The JSON is one object; `format` is 1 and grows when the meaning of a key changes. The findings on
a study are in its own export.

    format, metric, direction
    studies       [{name, best, value, spread, tied, counts, seconds, best_so_far}]: `best` is
                  the number of the best trial, `tied` whether it is tied with the best of all,
                  `best_so_far` has one entry per trial, null before one is complete
    choices       [{parameter, options: [{choice, studies: {name: branch}}]}], the choices that at
                  least two studies have; a branch is one of the study's own `isolation`
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tunecli.report.analysis import ranking
from tunecli.report.export.study_export import without_nan
from tunecli.report.studies.comparison import ComparedStudy, Comparison

FORMAT = 1


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as JSON; the module's docstring describes it."""
    whole = {
        "format": FORMAT,
        "metric": comparison.metric,
        "direction": comparison.direction,
        "studies": [_study(comparison, one) for one in comparison.contenders],
        "choices": [
            {
                "parameter": parameter,
                "options": [
                    {
                        "choice": option.choice,
                        "studies": {name: asdict(b) for name, b in option.branches.items()},
                    }
                    for option in options
                ],
            }
            for parameter, options in comparison.shared_choices().items()
        ],
    }
    return json.dumps(without_nan(whole), allow_nan=False)


def _study(comparison: Comparison, one: ComparedStudy) -> dict[str, Any]:
    best = one.best
    return {
        "name": one.study.name,
        "best": best.number if best is not None else None,
        "value": best.value if best is not None else None,
        "spread": best.spread if best is not None else None,
        "tied": comparison.is_tied(one),
        "counts": ranking.counts(one.study),
        "seconds": one.seconds,
        "best_so_far": one.best_so_far(),
    }
