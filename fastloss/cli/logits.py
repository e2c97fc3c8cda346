"""Logits that are scored as probabilities: noticed in the first block."""

from __future__ import annotations

import math

import numpy as np

from fastloss.formats.reader import Reader
from fastloss.loss_base import Loss
from fastloss.losses import KLDivergence

_BYTES = 1 << 20
"""Of the predictions that are looked at."""
_ROUNDING = 1e-2
"""By so much a probability of low precision may be off."""


def warning_of_logits(loss: Loss, y_pred: Reader) -> str | None:
    """Return what to say if predictions of a loss of probabilities lie outside 0 ... 1.

    It looks at the first rows alone, and passes over NaN.
    """
    of_probabilities = isinstance(loss, KLDivergence) or getattr(loss, "from_logits", True) is False
    if not of_probabilities or not y_pred.size or not y_pred.shape:
        return None
    inner = tuple(slice(0, length) for length in y_pred.shape[1:])
    row_bytes = math.prod(y_pred.shape[1:]) * y_pred.dtype.itemsize
    rows = min(y_pred.shape[0], max(1, _BYTES // row_bytes))
    first = np.asarray(y_pred[(slice(0, rows), *inner)], np.float64)
    low, high = np.fmin.reduce(first, axis=None), np.fmax.reduce(first, axis=None)
    if not (low < -_ROUNDING or high > 1 + _ROUNDING):
        return None
    remedy = "are they logits?" if isinstance(loss, KLDivergence) else "logits need --from-logits"
    return (
        f"{y_pred.name}: probabilities must lie in [0, 1], the first {rows:,} rows have values "
        f"from {low:.4g} to {high:.4g}: {remedy}"
    )
