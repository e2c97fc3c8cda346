"""fastloss itself as a contestant, called as a user calls it: a loss class, mean reduction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import Case
from .contest import IN_PLACE, OURS, Call, Contestant, Ways

Array = NDArray[Any]
LARGE = 1 << 20  # elements from which overwriting the predictions is of interest


def _mean_alone(value: Any) -> tuple[float, None]:
    return float(value), None


def prepare(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
    """Return the value, and the value and gradient: in a new array, and in one that is there."""
    loss, out = case.loss(**case.options), np.empty_like(y_pred)
    value = Call(lambda: loss(y_true, y_pred), _mean_alone)
    return {
        "value": Ways(value, value),
        "value_and_grad": Ways(
            Call(lambda: loss.value_and_grad(y_true, y_pred)),
            Call(lambda: loss.value_and_grad(y_true, y_pred, out=out)),
        ),
    }


def prepare_in_place(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
    """Return the value and gradient where the gradient replaces the predictions."""
    if y_pred.size < LARGE:
        return {}
    loss, x = case.loss(**case.options), y_pred.copy()
    call = Call(lambda: loss.value_and_grad(y_true, x, out=x), before=lambda: np.copyto(x, y_pred))
    return {"value_and_grad": Ways(None, call)}


CONTESTANTS = (
    Contestant(
        OURS,
        ("numba", "numpy"),
        value="mean loss, one call of the class",
        gradient="one pass with the value",
        threads="numba",
        has_out=True,
        prepare=prepare,
    ),
    Contestant(
        IN_PLACE,
        ("numba", "numpy"),
        value="the same with out=y_pred",
        gradient="written over the predictions",
        threads="numba",
        has_out=True,
        prepare=prepare_in_place,
    ),
)
