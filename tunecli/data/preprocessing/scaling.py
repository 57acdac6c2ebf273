"""Scale features and targets: fitted by scikit-learn on training rows, applied by torch.

A fitted scale is a few tensors, stored without pickle. It gives the same bits as scikit-learn: the
same operations in the same order and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from sklearn.preprocessing import (
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from torch import Tensor

from tunecli.data.preprocessing.smooth_clip import SmoothClipScaler, smoothly_clipped
from tunecli.data.rows.dataset import PerTarget
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

Floats = NDArray[np.floating]
Operation = Literal[
    "subtract", "divide", "multiply", "add", "clip", "smooth_clip", "uniform_rank", "normal_rank"
]
_PLAIN = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "smooth_clip": SmoothClipScaler,
}


def scaler_of(scale: Component, n_rows: int, seed: int) -> Any:
    """Return a transformer like scikit-learn's, unfitted, with at most as many quantiles as rows.

    Args:
        scale: `standard` (mean 0, standard deviation 1), `minmax` (0 to 1), `robust` (median 0,
            quartiles 1 apart), `smooth_clip` (the same, with outliers squeezed into ±3) or
            `quantile` (by rank, to a normal distribution by default).
        n_rows: the number of rows that it will be fitted on.
        seed: the seed for drawing the rows from which `quantile` takes its quantiles.
    """
    if scale.name in _PLAIN:
        given = scale.arguments.items()  # YAML has lists where scikit-learn wants tuples
        return _PLAIN[scale.name](**{k: tuple(v) if isinstance(v, list) else v for k, v in given})
    if scale.name != "quantile":
        known = "standard, minmax, robust, smooth_clip or quantile"
        raise DataError(f"unknown data.scale {scale.name!r}: write {known}.")
    arguments = {"n_quantiles": 1000, "output_distribution": "normal", **scale.arguments}
    if arguments["n_quantiles"] < 1:
        raise DataError(f"n_quantiles must be at least 1, but got {arguments['n_quantiles']}.")
    arguments["n_quantiles"] = min(arguments["n_quantiles"], n_rows)
    return QuantileTransformer(**arguments, random_state=seed)


@dataclass(frozen=True)
class FittedScale:
    """The steps that scale each column of a table, or each channel of pictures.

    Constant columns become 0 under `standard` and `minmax`.

    Attributes:
        steps: operations with their operands: (n_columns,) for arithmetic; (2,) for `clip`; (1,)
            for `smooth_clip`; (n_quantiles, n_columns) for ranks.
    """

    steps: tuple[tuple[Operation, Tensor], ...] = ()

    @classmethod
    def fit(cls, scale: Component | None, columns: Floats, seed: int) -> FittedScale:
        """Fit to (n, n_columns) without missing cells; for other arguments see `scaler_of`."""
        if scale is None:
            return cls()
        return cls.of(scaler_of(scale, len(columns), seed).fit(columns), columns.dtype)

    @classmethod
    def of(cls, scaler: Any, dtype: DTypeLike) -> FittedScale:
        """Read the steps off a scaler of `scaler_of`, fitted to rows of `dtype`."""
        steps = _steps(scaler, np.dtype(dtype))
        return cls(tuple((name, torch.from_numpy(np.array(array))) for name, array in steps))

    @property
    def is_by_rank(self) -> bool:
        """Whether scikit-learn has to apply it."""
        return any(operation.endswith("_rank") for operation, _ in self.steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Return rows (n, n_columns), or (n, n_columns, …), scaled, as float32."""
        for operation, operand in self.steps:
            if operation == "clip":
                x = x.clamp(*operand.to(x.dtype))
            elif operation == "smooth_clip":
                x = smoothly_clipped(x, operand[0].to(x.dtype))
            elif operation in ("uniform_rank", "normal_rank"):
                x = _ranked(x, operand.numpy(), operation)
            else:
                by_column = operand.reshape(-1, *[1] * (x.ndim - 2))
                x = getattr(torch, operation)(x, by_column).to(x.dtype)
        return x.float()

    def tensors(self) -> dict[str, Tensor]:
        """Return the steps for storage, by names that `restored` reads."""
        return {f"scale.{i}.{name}": operand for i, (name, operand) in enumerate(self.steps)}

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> FittedScale:
        """Restore a scale from what `tensors` returned; other tensors are ignored.

        Raises:
            ValueError: an operation is unknown.
        """
        steps: dict[int, Any] = {}
        for name in (name for name in tensors if name.startswith("scale.")):
            _, number, operation = name.split(".")
            if operation not in get_args(Operation):
                raise ValueError(f"unknown operation {operation!r}")
            if int(number) in steps:
                raise ValueError(f"two operations are number {number}")
            steps[int(number)] = (operation, tensors[name])
        return cls(tuple(steps[number] for number in sorted(steps)))


def _steps(scaler: Any, dtype: np.dtype[Any]) -> list[tuple[Operation, Floats]]:
    """Return the operations of a scaler, in its order."""
    match scaler:
        case StandardScaler():
            mean = scaler.mean_.astype(dtype) if scaler.with_mean else None  # as it does itself
            std = scaler.scale_.astype(dtype) if scaler.with_std else None
            return _some(("subtract", mean), ("divide", std))
        case RobustScaler():
            return _some(("subtract", scaler.center_), ("divide", scaler.scale_))
        case MinMaxScaler():
            ends = np.asarray(scaler.feature_range, dtype=np.float64) if scaler.clip else None
            return _some(("multiply", scaler.scale_), ("add", scaler.min_), ("clip", ends))
        case SmoothClipScaler():
            center, factor = scaler.center.astype(dtype), scaler.factor.astype(dtype)
            limit: Floats = np.array([scaler.limit], dtype=dtype)
            return _some(("subtract", center), ("multiply", factor), ("smooth_clip", limit))
        case QuantileTransformer():
            is_normal = scaler.output_distribution == "normal"
            return [("normal_rank" if is_normal else "uniform_rank", scaler.quantiles_)]
    raise TypeError(f"{type(scaler).__name__} is not a scaler of data.scale")


def _some(*steps: tuple[Operation, Floats | None]) -> list[tuple[Operation, Floats]]:
    return [(operation, operand) for operation, operand in steps if operand is not None]


def _ranked(x: Tensor, quantiles: Floats, operation: Operation) -> Tensor:
    """Scale by rank with scikit-learn's code, so that its rule at ties and ends applies."""
    transformer = QuantileTransformer(
        n_quantiles=len(quantiles), output_distribution=operation.removesuffix("_rank")
    )
    transformer.quantiles_ = quantiles
    transformer.references_ = np.linspace(0, 1, len(quantiles))
    transformer.n_quantiles_ = len(quantiles)
    transformer.n_features_in_ = quantiles.shape[1]
    channels_last = x.movedim(1, -1)
    ranked = transformer.transform(as_columns(x))
    return torch.from_numpy(ranked).reshape(channels_last.shape).movedim(-1, 1).contiguous()


def as_columns(x: Tensor) -> Floats:
    """Return rows as columns: pictures as (n * height * width, channels), tables unchanged."""
    columns: Floats = x.movedim(1, -1).reshape(-1, x.shape[1]).numpy()
    return columns


def as_floats(x: Tensor) -> Tensor:
    """Return rows for scaling: whole numbers as float64, others unchanged."""
    return x.double() if x.dtype == torch.int64 else x


@dataclass(frozen=True)
class TargetScale:
    """The scale of regression targets: original = standardized * std + mean.

    Attributes:
        mean, std: numbers; of several targets, one per target.
    """

    mean: PerTarget = 0.0
    std: PerTarget = 1.0

    @classmethod
    def of(cls, y_train: Tensor) -> TargetScale:
        """Return mean and (population) standard deviation; 1 for the latter if all are equal.

        Args:
            y_train: (n_train,) float64; of several targets (n_train, n_targets).
        """
        if y_train.ndim == 1:
            return cls(*_moments(y_train.numpy()))
        means, stds = zip(*map(_moments, y_train.T.contiguous().numpy()), strict=True)
        return cls(means, stds)

    def standardized(self, y: Tensor) -> Tensor:
        """Return float32 targets, rounded only after the mean is subtracted."""
        mean, std = (torch.tensor(one, dtype=torch.float64) for one in (self.mean, self.std))
        return ((y.double() - mean) / std).float()


def _moments(values: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of one target; 1 for the latter if all are equal."""
    if (values == values[0]).all():  # their mean may be off by the last bit
        return float(values[0]), 1.0
    return float(values.mean()), float(values.std())
