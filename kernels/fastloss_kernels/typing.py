"""Names for the types that annotations speak of."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any
