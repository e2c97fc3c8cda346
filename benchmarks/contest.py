"""What takes part in a comparison, and whether it computes the same."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cases import Case

Array = NDArray[Any]

# Those who are no peers.
OURS, IN_PLACE, LIMIT = "fastloss", "fastloss in place", "limit"
FORMS = ("value", "value_and_grad")
WAYS = ("fresh", "reused")


@dataclass(frozen=True)
class Call:
    """One thing to time. `run` alone is inside the clock."""

    run: Callable[[], Any]
    read: Callable[[Any], tuple[float, Array | None]] = lambda result: result
    """Turns what `run` returned into the mean loss and the gradient of the mean."""
    before: Callable[[], object] | None = None
    """Puts back what `run` overwrites; such a call is timed one at a time."""


class Ways(NamedTuple):
    """One computation with each of the WAYS to get memory for its results; None: not that way."""

    fresh: Call | None
    """A call without `out=`; malloc gives large blocks back to the system."""
    reused: Call | None
    """It is there already: an `out=` array, or else what the call before has freed."""


@dataclass(frozen=True)
class Contestant:
    """A library, in its own words and with its own arrays, on any of the shared cases."""

    name: str
    packages: tuple[str, ...]
    value: str
    gradient: str
    threads: str
    has_out: bool
    """Whether it writes into an array of the caller's. If not, `reused` needs a kept heap."""
    prepare: Callable[[Case, Array, Array, int], dict[str, Ways]]
    """From case, y_true, y_pred and number of threads to the forms it offers of this loss."""


class Mismatch(Exception):
    """A contestant computed something else than fastloss."""


# Relative. Peers' rounding is within a tenth of it on these data; and in float64 nobody passes who
# computes in float32.
SAME = {"float32": 1e-4, "float64": 1e-9}
SAMPLE = 1 << 20  # gradient elements that are compared, in rows spread evenly over the batch


def check_same(call: Call, value: float, gradient: Array) -> None:
    """Raise Mismatch unless the call gives this mean loss and this gradient of the mean.

    Gradient elements may also differ by a hundredth of `SAME` of the largest: where t is near p,
    peers that subtract them lose the digits in which the two agree.
    """
    same = SAME[gradient.dtype.name]
    if call.before is not None:
        call.before()
    computed, slope = call.read(call.run())
    if not np.isclose(computed, value, rtol=same, atol=0):
        raise Mismatch(f"value {computed:.9g}, fastloss has {value:.9g}")
    if slope is None:
        return
    if (slope.shape, slope.dtype) != (gradient.shape, gradient.dtype):
        theirs, ours = (f"{a.dtype} of shape {a.shape}" for a in (slope, gradient))
        raise Mismatch(f"gradient is {theirs}, fastloss has {ours}")
    step = max(1, gradient.size // SAMPLE)
    expected, found = gradient[::step], slope[::step]
    near = np.isclose(found, expected, rtol=same, atol=same / 100 * np.abs(expected).max())
    if not near.all():
        raise Mismatch(f"{(~near).sum()} of {near.size} gradient elements differ")
