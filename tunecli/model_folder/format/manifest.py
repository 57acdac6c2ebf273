"""What `model.json` holds: all that is needed to use a model, beside its arrays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunecli.data.rows.dataset import Column
from tunecli.data.rows.depth import OF_16_BITS, Depth
from tunecli.study_file.settings.settings import Task, TrialConfig
from tunecli.training.outcome.output_meaning import OutputMeaning

FORMAT: Literal[1] = 1

RowType = Literal["float64", "float32", "uint8", "int64"]
Positive = Annotated[int, Field(ge=1)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class MemberManifest(_Facts):
    """One trained network; a model is one of them, or the mean of several.

    Attributes:
        shape: of a row as the network gets it.
        n_outputs: of the network.
        meaning: of its outputs.
        preprocessing: its kind; the arrays are in a file of their own.
        n_bins: of numbers that are embedded piecewise linearly; else empty.
        norms: layers that compression has folded into those before them.
    """

    shape: tuple[Positive, ...]
    n_outputs: Positive
    meaning: OutputMeaning
    preprocessing: str
    n_bins: tuple[Positive, ...] = ()
    norms: tuple[str, ...] = ()


class Manifest(_Facts):
    """A model in use.

    Attributes:
        trial: its number in the study.
        config: that it was trained with.
        classes: in the order of the probabilities; empty for regression.
        columns: of a table that it takes; empty for pictures.
        row_shape, row_dtype: of rows as they are read, before they are prepared.
        depth: how pictures of more than 8 bits became bytes; None if all had 8 bits. Models that
            do not say were trained on the upper 8 of 16 bits.
        fingerprint: of the data that it was trained on.
        code: hash of the files of the user's own that its network is made of, by what `--code`
            calls them; none for an installed package, and in models of the first versions.
        versions: of what trained it.
        files: SHA-256 of each of the other files that are read, in hexadecimal.
    """

    format: Literal[1] = FORMAT
    study: str
    trial: int
    config: TrialConfig
    task: Task
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    row_shape: tuple[Positive, ...]
    depth: Depth | None = OF_16_BITS
    row_dtype: RowType
    members: Annotated[tuple[MemberManifest, ...], Field(min_length=1)]
    fingerprint: str
    code: dict[str, str] = {}
    versions: dict[str, str]
    files: dict[str, str] = {}
