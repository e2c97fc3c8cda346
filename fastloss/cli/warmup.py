"""Fill Numba's cache: what a loss can need is compiled by calls on a few numbers, and on more.

Small work runs what is compiled for one thread, larger work a parallel loop: see
`fastloss_kernels.threads`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

import fastloss_kernels.threads
import numpy as np

from fastloss import functional

LOSSES: dict[str, Callable[..., Any]] = {f.__name__: f for f in functional.RECIPES}
DTYPES = ("float32", "float64")


def calls(
    losses: Iterable[str] = tuple(LOSSES), dtypes: Iterable[str] = DTYPES
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what there is to compile: a description, and the call that does it.

    Raises
    ------
    ValueError
        For an unknown loss or a dtype that kernels have no variant for.
    """
    for name in losses:
        if name not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return (call for name in losses for dtype in dtypes for call in _calls(LOSSES[name], dtype))


def _calls(function: Callable[..., Any], dtype: str) -> Iterator[tuple[str, Callable[[], object]]]:
    by_label = function is functional.sparse_categorical_crossentropy
    scored = function in (functional.poisson, functional.kl_divergence)
    both = functional.value_and_grad(function)
    for options in [{}] if scored else [{"from_logits": False}, {"from_logits": True}]:
        kind = "" if scored else " of logits" if options["from_logits"] else " of probabilities"
        ways = _ways(function, bool(options.get("from_logits")))
        for (way, classes, apart), rows in product(ways, (2, fastloss_kernels.threads.SMALL)):
            shape = (classes, rows) if apart else (rows, classes)
            y_pred = np.full(shape, 0.5, dtype)
            y_pred = y_pred.T if apart else y_pred
            y_true = np.zeros(rows, np.int64) if by_label else y_pred
            size = "small" if rows == 2 else "large"
            what = f"{function.__name__}{kind}, {dtype}, {size}{way}"
            yield what, partial(function, y_true, y_pred, **options)
            yield f"{what}, gradient", partial(both, y_true, y_pred, **options, reduction="mean")


# What some losses have code of their own for: (description, classes, whether they lie apart).
_FEW, _MORE, _APART = ("", 2, False), (", more classes", 17, False), (", classes apart", 2, True)


def _ways(function: Callable[..., Any], from_logits: bool) -> tuple[tuple[str, int, bool], ...]:
    """Return which of these the loss has."""
    by_label = function is functional.sparse_categorical_crossentropy
    return (_FEW, _MORE, _APART) if by_label and from_logits else (_FEW, _APART)
