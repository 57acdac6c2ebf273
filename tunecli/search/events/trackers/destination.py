"""The values of `--log`, which choose the trackers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunecli.errors import TrackerError

Kind = Literal["mlflow", "tensorboard", "wandb"]
FORMS: dict[Kind, str] = {
    "mlflow": "mlflow:URI",
    "tensorboard": "tensorboard:DIR",
    "wandb": "wandb:PROJECT",
}


@dataclass(frozen=True)
class Destination:
    """One tracker.

    Attributes:
        target: its URI, folder or project.
    """

    kind: Kind
    target: str

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read a value of `--log`.

        Raises:
            TrackerError: it has none of the three forms.
        """
        kind, _, target = text.partition(":")
        if kind not in FORMS or not target.strip():
            *others, last = FORMS.values()
            raise TrackerError(f"--log must be {', '.join(others)} or {last}, got {text!r}.")
        return cls(kind, target)
