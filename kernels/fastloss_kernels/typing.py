"""Names for the types that annotations speak of, and the record of a kernel's parts."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any

NOT_DIRECT = -2
"""What a `rows` part returns, having written nothing, if it cannot process an array's layout."""


class Parts(NamedTuple):
    """The parts of a kernel, ``kernel.parts``; see `loops.kernel`."""

    rows: Any  # for contiguous rows
    short_rows: Any  # for contiguous rows of at most `tuning.SHORT_ROW` bytes
    packed: Any  # for rows that are packed first
    columns: Any  # for every layout
    check: Any  # finds the first row whose label is out of range; None without labels
    loop: Any  # the parallel loop
