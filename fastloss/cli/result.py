"""What `fastloss evaluate` found, as its JSON: docs/reference/evaluate.md lists the fields."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastloss.loss_base import Loss
from fastloss.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import Summary
from fastloss.out_of_core.row_statistics import QUANTILE_ERROR

VERSION = 1
"""Of the fields: a field that changes its meaning, or goes, changes it. New ones may come."""

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def json_values(
    files: list[str],
    name: str,
    loss: Loss,
    summary: Summary,
    options: ScoreOptions,
    groups: dict[str, Any],
    worst: int,
) -> dict[str, Any]:
    """Return the values for JSON of an evaluation; of `groups`, all columns, the `worst` rows."""
    losses, counts, scores = summary.losses, summary.counts, summary.scores
    of_labels = isinstance(loss, SparseCategoricalCrossentropy)
    mean = summary.mean_loss if of_labels else None
    return {
        "version": VERSION,
        "predictions": files[0] if len(files) == 1 else f"{files[0]} ... {files[-1]}",
        "files": files,
        "loss": name,
        "reduction": loss.reduction or "none",
        "value": summary.value,
        "dtype": summary.dtype,
        "rows": counts.rows,
        "masked_rows": counts.masked,
        "ignored_rows": counts.ignored,
        "weight_sum": counts.weight,
        "perplexity": None if mean is None else _exp(mean),
        "bits": None if mean is None else mean / math.log(2),
        "accuracy": summary.accuracy,
        "top_k": {}
        if scores is None
        else {
            str(k): scores.share(float(total))
            for k, total in zip(options.top, scores.top, strict=False)
        },
        "brier": None if scores is None or scores.brier is None else scores.share(scores.brier),
        "ece": None
        if scores is None
        else {
            "value": scores.calibration_error,
            "bins": options.bins,
            "binning": "equal widths of the probability of "
            + ("class 1" if isinstance(loss, BinaryCrossentropy) else "the most likely class"),
        },
        "row_losses": {
            "rows": losses.count,
            "nan_rows": losses.nan_rows,
            "mean": losses.mean,
            "min": losses.minimum if losses.count else math.nan,
            "max": losses.maximum if losses.count else math.nan,
            "quantiles": {
                str(level): value
                for level, value in zip(QUANTILES, losses.quantiles(QUANTILES), strict=True)
            },
            "quantile_error": 0.0 if losses.exact else QUANTILE_ERROR,
        },
        "worst": [
            {"row": row, "index": _loss_index(row, summary), "loss": value}
            for row, value in losses.worst()
        ],
        "groups": _worst_groups(groups, worst),
        "bytes": summary.bytes,
        "seconds": summary.seconds,
    }


def group_columns(loss: Loss, summary: Summary) -> dict[str, Any]:
    """Return the columns of all groups, {} without groups."""
    if summary.groups is None:
        return {}
    of_labels = isinstance(loss, SparseCategoricalCrossentropy)
    return summary.groups.columns(loss.reduction, of_labels)


def _worst_groups(columns: dict[str, Any], worst: int) -> list[dict[str, Any]]:
    """Return the first `worst` rows; perplexity and accuracy may be None."""
    rows = zip(*(column[:worst].tolist() for column in columns.values()), strict=True)
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    for group in found:
        for name in ("perplexity", "accuracy"):
            if math.isnan(group[name]):
                group[name] = None
    return found


def _exp(mean: float) -> float:
    try:
        return math.exp(mean)
    except OverflowError:
        return math.inf


def _loss_index(row: int, summary: Summary) -> list[int]:
    return [int(i) for i in np.unravel_index(row, summary.shape)]
