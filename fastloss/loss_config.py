"""The configuration of a loss: frozen, checked, compared and saved as in Keras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import Field, field, fields
from itertools import count
from typing import Any, ClassVar, Generic, Self

import numpy as np

from fastloss.arguments.arrays import DType, float_dtype, shown
from fastloss.arguments.class_weights import ClassWeights
from fastloss.loss_specs import LossSpec
from fastloss.reduction import check_reduction
from fastloss.typing import Reduction

_name_counts: defaultdict[str, count[int]] = defaultdict(count)


def extension(default: Any) -> Any:
    """Return the field of an option that some version of Keras does not have.

    It is a keyword, and in a configuration only if it is not the default, so that Keras can load
    that.
    """
    return field(default=default, kw_only=True, metadata={"extension": True})


class LossConfig(ABC, Generic[Reduction]):
    """What all losses share. A subclass is a frozen dataclass of its options.

    Losses are compared, hashed, copied and pickled by their configuration, which cannot be
    changed after construction.

    Parameters
    ----------
    reduction : str or None
        None (or "none"): no reduction. "sum". "sum_over_batch_size" (or "mean", "auto"): the sum
        divided by the number of losses not masked or ignored. "mean_with_sample_weight": divided
        by the sum of their weights. A divisor of 0 gives 0.
    name : str or None
        None: a unique name is generated.
    dtype : str or None
        "float16", "bfloat16" (needs ml_dtypes), "float32" or "float64": the dtype of the results
        and, unless it is half precision, of the computation. None: float64 for float64 arrays, else
        float32.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    reduction: str | None
    name: str | None
    dtype: str | None
    _spec: LossSpec
    _output_dtype: DType | None

    @abstractmethod
    def _make_spec(self) -> LossSpec:
        """Return the specification of the loss for `evaluate`."""

    def __post_init__(self) -> None:
        """Check every option and convert it to plain Python values."""
        output = float_dtype(self.dtype)
        if not isinstance(self.name, str | None):
            raise ValueError(f"name must be None or a string, got {shown(self.name)}")
        self._set(reduction=check_reduction(self.reduction), name=self.name or self._unique_name())
        self._set(dtype=None if output is None else output.name, _output_dtype=output)
        spec = self._make_spec()
        weights = {  # they may be the caller's arrays, so they are copied
            option: copy(weight)
            for option in ("class_weight", "pos_weight")
            if (weight := getattr(spec, option)) is not None
        }
        self._set(_spec=spec._replace(**weights), **weights)
        self._set(**{f.name: _as_python(getattr(self, f.name)) for f in fields(self)})

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _unique_name(self) -> str:
        name = str(type(self).__dataclass_fields__["name"].default)
        number = next(_name_counts[name])
        return f"{name}_{number}" if number else name

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's keywords; those that Keras may not have only if given."""
        config = {f.name: getattr(self, f.name) for f in fields(self)}
        absent = [f.name for f in fields(self) if f.metadata and config[f.name] == f.default]
        return {
            name: dict(value) if isinstance(value, ClassWeights) else value
            for name, value in config.items()
            if name not in absent
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the loss of a configuration; the "fn" of old Keras versions is ignored.

        Raises ValueError for a key that is no option of the loss.
        """
        if not isinstance(config, dict):
            raise TypeError(f"config must be a dict, got {type(config).__name__}")
        options = {name: value for name, value in config.items() if name != "fn"}
        legal = [f.name for f in fields(cls)]
        unknown = [name for name in options if name not in legal]
        if unknown:
            raise ValueError(
                f"config must hold options of {cls.__name__}, {', '.join(legal)};"
                f" got {', '.join(map(repr, unknown))}"
            )
        return cls(**options)

    def __rich_repr__(self) -> Iterator[tuple[str, Any, Any]]:
        for f in fields(self):
            yield f.name, getattr(self, f.name), f.default

    def __repr__(self) -> str:
        """Return the constructor's call with the options that differ from the defaults."""
        options = (f"{name}={v!r}" for name, v, default in self.__rich_repr__() if v != default)
        return f"{type(self).__name__}({', '.join(options)})"

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Self], tuple[dict[str, Any]]]:
        return type(self).from_config, (self.get_config(),)


def _as_python(value: Any) -> Any:
    """Return `value` as a hashable and comparable Python value that JSON can write."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(_as_python, value)) if isinstance(value, list | tuple) else value
