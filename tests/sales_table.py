"""A seeded table of sales per store and week, and later weeks without the sales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

N_STORES, N_WEEKS, N_NEW = 14, 60, 6
REGIONS = ("north", "east", "south", "west")


def sales(seed: int = 0) -> pd.DataFrame:
    """Return the sales of every store and week, sorted by week; the last weeks are new."""
    rng = np.random.default_rng(seed)
    level = rng.normal(100, 25, N_STORES)
    rows = []
    for week in range(N_WEEKS + N_NEW):
        day = pd.Timestamp("2023-01-02") + pd.Timedelta(weeks=week)
        season = 15 * np.sin(2 * np.pi * week / 52)
        for store in range(N_STORES):
            price, promo = rng.normal(4, 0.4), rng.random() < 0.2
            units = level[store] + season + 0.3 * week - 12 * (price - 4) + 20 * promo
            rows.append(
                {
                    "week": f"{day:%Y-%m-%d}",
                    "store": f"S{store:02}",
                    "region": REGIONS[store % 4],
                    "price": round(price, 2) if rng.random() > 0.03 else None,
                    "promo": "yes" if promo else "no",
                    "units": round(float(units + rng.normal(0, 6)), 1),
                }
            )
    return pd.DataFrame(rows)


def write_sales(folder: Path, seed: int = 0) -> None:
    """Write `sales.csv`, and `next.csv` with later weeks, ids, gaps and a new region."""
    whole = sales(seed)
    past = whole.head(N_STORES * N_WEEKS)
    past.to_csv(folder / "sales.csv", index=False)
    new = whole.tail(N_STORES * N_NEW).drop(columns="units").reset_index(drop=True)
    new.insert(0, "order_id", [f"{number:05}" for number in range(len(new))])
    new.loc[[0, 5], "price"] = None
    new.loc[[2, 3, 4], "region"] = "abroad"
    new.to_csv(folder / "next.csv", index=False)
