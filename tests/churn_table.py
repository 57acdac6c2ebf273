"""A table of customers of whom one in twenty leaves, as people have it: `python churn_table.py`.

Numbers of different size, categories (one of them rare), a date, missing cells, and a target that
depends on them only weakly: an untuned logistic regression reaches a ROC AUC of about 0.72.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

N_ROWS = 3_000
SHARE = 0.05
"""Share of the customers who leave."""


def churn_table(n_rows: int = N_ROWS, share: float = SHARE, seed: int = 0) -> pd.DataFrame:
    """Return the table; `churned` is `yes` in exactly `share` of the rows, rounded."""
    rng = np.random.default_rng(seed)
    tenure = rng.gamma(2.0, 14.0, n_rows).round()
    monthly = np.round(rng.normal(62, 24, n_rows).clip(9, 150), 2)
    calls = rng.poisson(1.3, n_rows)
    plan = rng.choice(["basic", "plus", "family", "business"], n_rows, p=[0.5, 0.3, 0.18, 0.02])
    payment = rng.choice(["card", "transfer", "cash"], n_rows, p=[0.55, 0.35, 0.1])
    joined = pd.Timestamp("2025-12-31") - pd.to_timedelta(tenure * 30.4, unit="D")
    logits = (
        -0.03 * (tenure - 28)
        + 0.012 * (monthly - 62)
        + 0.25 * (calls - 1.3)
        + 0.5 * (plan == "basic")
        + 0.5 * (payment == "cash")
        + 0.6 * (calls >= 3) * (monthly > 62)
    )
    propensity = 1.15 * logits + rng.logistic(0, 1, n_rows)
    leaves = propensity >= np.sort(propensity)[-round(share * n_rows)]
    table = pd.DataFrame(
        {
            "tenure": tenure,
            "monthly": monthly,
            "usage_gb": np.round(rng.lognormal(2.5, 1.0, n_rows), 1),
            "support_calls": calls,
            "plan": plan,
            "payment": payment,
            "region": rng.choice(["north", "south", "east", "west"], n_rows),
            "joined": joined.strftime("%Y-%m-%d"),
            "churned": np.where(leaves, "yes", "no"),
        }
    )
    for column, missing in {"monthly": 0.05, "usage_gb": 0.1, "payment": 0.03}.items():
        table.loc[rng.random(n_rows) < missing, column] = None
    return table


def write_churn_table(path: Path, n_rows: int = N_ROWS, share: float = SHARE) -> Path:
    """Write the table as CSV, and return its path."""
    churn_table(n_rows, share).to_csv(path, index=False)
    return path


if __name__ == "__main__":
    write_churn_table(Path(sys.argv[1] if len(sys.argv) > 1 else "churn.csv"))
