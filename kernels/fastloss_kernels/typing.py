"""Names for the types that annotations speak of, and the record of a kernel's parts."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any


class Parts(NamedTuple):
    """The parts of a kernel, ``kernel.parts``; see `loops.kernel`."""

    rows: Any  # for contiguous rows
    columns: Any  # for every layout
    short_rows: Any  # for contiguous rows of at most `tuning.SHORT_ROW` bytes
    check: Any  # finds the first row whose label is out of range; None without labels
    loop: Any  # the parallel loop
