"""Dense targets of crossentropy: smoothed and weighted by class on the way in."""

from fastloss_kernels.jit import block
from fastloss_kernels.typing import Array


@block
def dense_targets(
    y: Array, own: Array, c0: int, class_weight: Array, smoothing: float, classes: int
) -> Array:
    """Return w_c (t_c (1 - s) + s / C) for the classes `c0` onwards of one row of targets.

    That is y itself where it changes nothing, else `own`. `class_weight` is empty or has C values.
    """
    if smoothing == 0.0 and class_weight.size == 0:
        return y
    kind = own.dtype.type
    shrink, rise = kind(1.0 - smoothing), kind(smoothing / classes)
    target = own[: y.size]
    for c in range(y.size):
        target[c] = y[c] * shrink + rise
    if class_weight.size:
        weight = class_weight[c0 : c0 + y.size]
        for c in range(y.size):
            target[c] *= weight[c]
    return target
