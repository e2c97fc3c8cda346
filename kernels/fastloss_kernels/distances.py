"""How far the classes of a row are below its largest logit, weighted: t_c (x_k - x_c).

Where their sum is near the smallest normal number most terms are subnormal, rounded to a multiple
of 2^-149 (float32) as if they had few digits. N such roundings are at most N 2^-150 off, below a
twentieth of an ulp where N is up to 2^17 and the sum at least 2^-105. Below 2^-100 it is therefore
taken again, of targets that are 2^24 times as large: now N roundings are N 2^-174, which is as
little of an ulp of any normal number. No target overflows, for where the sum is that small none
is above 2^49. For float64 the same holds with 2^-1022 in the place of 2^-126.
"""

import numpy as np

from fastloss_kernels.jit import block, called
from fastloss_kernels.rowsums import add_rows
from fastloss_kernels.targets import dense_targets
from fastloss_kernels.typing import Array

LIFT = 2.0**24
SMALL = 2.0**26  # times the smallest normal number


@block
def distances(v: Array, t: Array, rows: int, c0: int, top: Array, terms: Array) -> None:
    """Set `terms` to t_c (x_k - x_c) for the classes `c0` onwards, and to 0 where t_c is 0."""
    classes, width = v.size // rows, t.size // rows
    for r in range(rows):
        largest = v[r * classes + top[r]]
        x_row = v[r * classes + c0 : r * classes + c0 + width]
        t_row, row = t[r * width : (r + 1) * width], terms[r * width : (r + 1) * width]
        for c in range(width):
            row[c] = t_row[c] * (largest - x_row[c]) if t_row[c] != 0 else 0


@block
def subnormal_terms(distance: float, others: float, like: Array) -> bool:
    """Return whether a sum of distances must be taken again.

    Rows all of whose targets are at the top need it not: their distance is 0, and so is `others`,
    the sum of their other targets.
    """
    small = abs(distance) < SMALL * np.finfo(like.dtype).tiny
    return small and (distance != 0 or others > 0)


@called
def refine_distances(
    v: Array,
    y: Array,
    rows: int,
    piece: int,
    class_weight: Array,
    smoothing: float,
    top: Array,
    others: Array,
    sums: tuple[Array, Array],
    boxes: tuple[Array, Array],
    spare: tuple[Array, Array],
) -> None:
    """Take sums of rows with targets y again where they have subnormal terms.

    ``sums = (distance, what it lost)``, `others` are the sums of the targets that are not at
    the top, and `boxes` are room for a piece of the targets and of the terms.
    """
    changed, terms = boxes
    distance, lost = sums
    classes = v.size // rows
    for r in range(rows):
        if subnormal_terms(distance[r], others[r], v):
            row, of_row = slice(r * classes, (r + 1) * classes), slice(r, r + 1)
            for c in range(0, classes, piece):
                y_part = y[row][c : c + piece]
                t = dense_targets(y_part, 1, c, class_weight, smoothing, classes, changed)
                lifted = changed[: t.size]
                for k in range(t.size):
                    lifted[k] = t[k] * v.dtype.type(LIFT)
                distances(v[row], lifted, 1, c, top[of_row], terms[: t.size])
                add_rows(terms[: t.size], 1, c == 0, distance[of_row], lost[of_row], spare)
            distance[r], lost[r] = distance[r] / LIFT, lost[r] / LIFT
