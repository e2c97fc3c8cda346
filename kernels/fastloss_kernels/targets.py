"""Dense targets of crossentropy: smoothed and weighted by class on the way in."""

from fastloss_kernels.intrinsics import fma
from fastloss_kernels.jit import block
from fastloss_kernels.typing import Array


@block
def dense_targets(
    y: Array,
    rows: int,
    c0: int,
    class_weight: Array,
    smoothing: float,
    classes: int,
    own: Array,
) -> Array:
    """Return w_c (t_c (1 - s) + s / C) for the classes `c0` onwards of rows of targets.

    That is y itself where it changes nothing, else `own`. `class_weight` is empty or has C values.
    """
    if smoothing == 0.0 and class_weight.size == 0:
        return y
    kind = own.dtype.type
    shrink, rise = kind(1.0 - smoothing), kind(smoothing / classes)
    target = own[: y.size]
    for k in range(y.size):
        target[k] = fma(y[k], shrink, rise)
    if class_weight.size:
        width = y.size // rows
        weight = class_weight[c0 : c0 + width]
        for r in range(rows):
            row = target[r * width : (r + 1) * width]
            for c in range(width):
                row[c] *= weight[c]
    return target
