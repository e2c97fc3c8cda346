"""Names for the types that annotations speak of, and the record of a kernel's parts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any

NOT_DIRECT = -2
"""What a `rows` part returns, having written nothing, if it cannot process an array's layout."""


NO_TARGETS, SCALE_ONE, KEEP_ALL = np.empty(0, np.int64), np.ones(1), np.ones(1, np.bool_)
"""The labels, `scale` and `keep` that parts of activations are given, which have none."""
for _array in (NO_TARGETS, SCALE_ONE, KEEP_ALL):
    _array.flags.writeable = False


class Parts(NamedTuple):
    """The parts of a kernel, ``kernel.parts``; see `loops.kernel`."""

    rows: Any  # for contiguous rows
    short_rows: Any  # for contiguous rows of at most `tuning.SHORT_ROW` bytes
    packed: Any  # for rows that are packed first
    columns: Any  # for every layout
    check: Any  # finds the first row whose label is out of range; None without labels
    loop: Any  # the parallel loop
