"""A fitted scaler as plain arrays: stored without pickle, applied without scikit-learn.

It gives the same bits as scikit-learn: the same operations in the same order and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Operation = Literal["subtract", "divide", "multiply", "add", "clip", "uniform_rank", "normal_rank"]


@dataclass(frozen=True)
class FittedScale:
    """The steps that scale each column of rows.

    Attributes:
        steps: operations with their operands: (n_columns,) for arithmetic; (2,) for `clip`;
            (n_quantiles, n_columns) for ranks.
    """

    steps: tuple[tuple[Operation, Array], ...] = ()

    @classmethod
    def of(cls, scaler: Any, dtype: DTypeLike) -> FittedScale:
        """Read the steps off a scaler of `scaling.scaler_of`, fitted to rows of `dtype`."""
        return cls(tuple(_steps(scaler, np.dtype(dtype))))

    def transform(self, x: Array) -> Array:
        """Scale rows (n, n_columns) without missing cells; `x` does not change."""
        x = np.array(x)
        for operation, operand in self.steps:
            if operation == "clip":
                np.clip(x, *operand.astype(x.dtype), out=x)
            elif operation in ("uniform_rank", "normal_rank"):
                x = _ranked(x, operand, operation)
            else:
                getattr(np, operation)(x, operand, out=x, casting="same_kind")
        return x

    def arrays(self) -> dict[str, Array]:
        """Return the steps for storage, by names that `restored` reads."""
        return {f"scale.{i}.{name}": array for i, (name, array) in enumerate(self.steps)}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> FittedScale:
        """Restore a scale from what `arrays` returned; other arrays are ignored.

        Raises:
            ValueError: an operation is unknown.
        """
        steps: dict[int, tuple[Operation, Array]] = {}
        for name, array in arrays.items():
            if name.startswith("scale."):
                _, number, operation = name.split(".")
                if operation not in get_args(Operation):
                    raise ValueError(f"unknown operation {operation!r}")
                steps[int(number)] = operation, array  # type: ignore[assignment]
        return cls(tuple(steps[number] for number in sorted(steps)))


def _steps(scaler: Any, dtype: np.dtype[Any]) -> list[tuple[Operation, Array]]:
    """Return the operations of a scaler, in its order."""
    match type(scaler).__name__:
        case "StandardScaler":
            mean = scaler.mean_.astype(dtype) if scaler.with_mean else None  # as it does itself
            std = scaler.scale_.astype(dtype) if scaler.with_std else None
            return _some(("subtract", mean), ("divide", std))
        case "RobustScaler":
            center = scaler.center_ if scaler.with_centering else None
            std = scaler.scale_ if scaler.with_scaling else None
            return _some(("subtract", center), ("divide", std))
        case "MinMaxScaler":
            ends = np.asarray(scaler.feature_range, dtype=np.float64) if scaler.clip else None
            return _some(("multiply", scaler.scale_), ("add", scaler.min_), ("clip", ends))
        case "QuantileTransformer":
            is_normal = scaler.output_distribution == "normal"
            return [("normal_rank" if is_normal else "uniform_rank", scaler.quantiles_)]
    raise TypeError(f"{type(scaler).__name__} is not a scaler of data.scale")


def _some(*steps: tuple[Operation, Array | None]) -> list[tuple[Operation, Array]]:
    return [(operation, operand) for operation, operand in steps if operand is not None]


def _ranked(x: Array, quantiles: Array, operation: Operation) -> Array:
    """Scale by rank with scikit-learn's code, so that its rule at ties and ends applies."""
    from sklearn.preprocessing import QuantileTransformer

    transformer = QuantileTransformer(
        n_quantiles=len(quantiles), output_distribution=operation.removesuffix("_rank")
    )
    transformer.quantiles_ = quantiles
    transformer.references_ = np.linspace(0, 1, len(quantiles))
    transformer.n_quantiles_ = len(quantiles)
    transformer.n_features_in_ = quantiles.shape[1]
    ranked: Array = transformer.transform(x)
    return ranked
