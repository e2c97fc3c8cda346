"""Calls that compile every variant of the kernels, to fill Numba's cache.

Each loss is called with few rows, which run on one thread, and with many, which run a parallel
loop: see `fastloss_kernels.launch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from fastloss_kernels import tuning

from fastloss import functional

LOSSES: dict[str, Callable[..., Any]] = {f.__name__: f for f in functional.SPEC_FUNCTIONS}
DTYPES = ("float32", "float64")


def warmup_calls(
    losses: Iterable[str] = tuple(LOSSES), dtypes: Iterable[str] = DTYPES
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Return (description, call) for each variant; the call compiles it.

    Raises
    ------
    ValueError
        For an unknown loss, or a dtype for which kernels have no variant.
    """
    for name in losses:
        if name not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return (
        call for name in losses for dtype in dtypes for call in _calls_of_loss(LOSSES[name], dtype)
    )


def _calls_of_loss(
    function: Callable[..., Any], dtype: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    by_label = function is functional.sparse_categorical_crossentropy
    no_options = function in (functional.poisson, functional.kl_divergence)
    both = functional.value_and_grad(function)
    for options in [{}] if no_options else [{"from_logits": False}, {"from_logits": True}]:
        kind = "" if no_options else " of logits" if options["from_logits"] else " of probabilities"
        variants = _shape_variants(function, bool(options.get("from_logits")))
        for (variant, classes, transposed), rows in product(variants, (2, tuning.PARALLEL)):
            shape = (classes, rows) if transposed else (rows, classes)
            y_pred = np.full(shape, 0.5, dtype)
            y_pred = y_pred.T if transposed else y_pred
            y_true = np.zeros(rows, np.int64) if by_label else y_pred
            size = "small" if rows == 2 else "large"
            description = f"{function.__name__}{kind}, {dtype}, {size}{variant}"
            yield description, partial(function, y_true, y_pred, **options)
            yield (
                f"{description}, gradient",
                partial(both, y_true, y_pred, **options, reduction="mean"),
            )


# Shapes with separate kernel code: (description, classes, whether y_pred is transposed in memory).
_FEW, _MORE, _TRANSPOSED = (
    ("", 2, False),
    (", more classes", 17, False),
    (", transposed", 2, True),
)


def _shape_variants(
    function: Callable[..., Any], from_logits: bool
) -> tuple[tuple[str, int, bool], ...]:
    """Return the shapes for which the loss has separate code."""
    by_label = function is functional.sparse_categorical_crossentropy
    return (_FEW, _MORE, _TRANSPOSED) if by_label and from_logits else (_FEW, _TRANSPOSED)
