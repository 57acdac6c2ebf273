"""The models of a first study of a table.

Their ranges contain the published defaults (`tuned_defaults`), and are otherwise those of the
papers, narrower where these take hours on a CPU: TabM has fewer MLPs and units.
"""

from __future__ import annotations

MOST_EMBEDDED = 100
"""Most columns whose numbers become vectors: the first layer grows with their number."""
MOST_LINEAR = 10_000
"""Most rows at which a linear model may be the best: with more, others find what it cannot."""
_LINEAR = ("    Linear: {}                    # often hard to beat with few rows or rare classes",)
_WIDE = (
    "    Linear: {}",
    "    MLP:",
    "      width: {int: [16, 256], log: true}",
    "      depth: {int: [1, 3]}",
    "      dropout: {float: [0.0, 0.5]}",
)
_EMBEDDED = (
    "    MLP:                          # numbers become vectors: arXiv:2203.05556",
    "      num_embeddings: piecewise_linear",
    "      num_size: {int: [8, 32], step: 4}",
    "      n_bins: {int: [2, 128]}",
    "      width: {int: [64, 1024], step: 16}",
    "      depth: {int: [1, 4]}",
    "      dropout: {float: [0.0, 0.5], or: 0}",
    "    TabM:                         # several MLPs in one, and slower: arXiv:2410.24210",
    "      arch: mini",
    "      k: 16                       # MLPs, for time on a CPU; the published default is 32",
    "      num_embeddings: piecewise_linear",
    "      num_size: {int: [8, 32], step: 4}",
    "      n_bins: {int: [2, 128]}",
    "      d_block: {int: [64, 512], step: 16}   # up to 1024 in the paper",
    "      n_blocks: {int: [1, 3]}",
    "      dropout: {float: [0.0, 0.5], or: 0}",
)
EMBEDDED_CLIP_NORM = 1.0
"""Largest norm of the gradient in the papers."""
EMBEDDED_PATIENCE = 10
"""Evaluations that early stopping waits: 16 in the papers, whose trials have no last epoch."""


def embedded_epochs(n_rows: int) -> int:
    """Return the epochs of models that embed numbers, which learn for long.

    With the published learning rate, TabM is still improving after 40 epochs of California
    housing; the papers train it for over 100.
    """
    return 40 if n_rows < 200_000 else 10


def embedded_scale(n_rows: int) -> str:
    """Return the scale of numbers that models embed, and that a linear model takes as they are.

    The papers scale by rank, which makes a linear relation curved.
    """
    return "{choice: [quantile, standard]}" if n_rows <= MOST_LINEAR else "quantile"


def embedded_rates(n_rows: int) -> str:
    """Return the learning rates of models that embed numbers, and of a linear model beside them.

    A linear model trains with higher rates than the papers use.
    """
    return "[1e-4, 2e-2]" if n_rows <= MOST_LINEAR else "[1e-4, 5e-3]"


def table_models(n_rows: int, n_columns: int) -> tuple[str, ...]:
    """Return the lines of the models for a table of this size."""
    if n_columns > MOST_EMBEDDED:
        return _WIDE
    return (*_LINEAR, *_EMBEDDED) if n_rows <= MOST_LINEAR else _EMBEDDED
