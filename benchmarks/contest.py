"""What takes part in a comparison, and how it is timed: in turn, round after round, medians."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cases import Case
from .equal import check_threads, set_threads

Array = NDArray[Any]

# Those who are no peers.
OURS, IN_PLACE, LIMIT = "fastloss", "fastloss in place", "limit"
FORMS = ("value", "value_and_grad")
WAYS = ("fresh", "reused")
LAP = 0.02  # seconds a lap lasts at least: ten thousand times what reading the clock costs
# Threads of one OpenMP library spin after its last loop, waiting for another: 8 ms were seen. The
# next contestant would share its cores with them.
SPINNING = 0.01


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
    """Every call takes it from the system."""
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


class Lap(NamedTuple):
    """How one call went; or the median over the rounds."""

    seconds: float
    cores: float
    """Processor time over elapsed time: how many cores were at work."""


def interleaved(calls: Mapping[str, Call], rounds: int, threads: int) -> dict[str, Lap]:
    """Time all calls in turn: A B C, A B C, ..."""
    counts = dict.fromkeys(calls, 1)
    laps: dict[str, list[Lap]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            lap = _lap(call, counts[name], threads)
            if turn == 0 and lap.seconds < LAP and call.before is None:  # too short to be one
                counts[name] = int(LAP / lap.seconds) + 1
                lap = _lap(call, counts[name], threads)
            laps[name].append(lap)
    return {
        name: Lap(*(statistics.median(column) for column in zip(*found, strict=True)))
        for name, found in laps.items()
    }


def _lap(call: Call, count: int, threads: int) -> Lap:
    """Time `count` calls after one that is not timed."""
    time.sleep(SPINNING)
    set_threads(threads)  # another library's loop may have changed them
    for prepare in (call.before, call.run, call.before):
        if prepare is not None:
            prepare()
    run, busy, start = call.run, time.process_time(), time.perf_counter()
    for _ in range(count):
        run()
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    check_threads(threads)
    return Lap(seconds / count, busy / seconds)


class Mismatch(Exception):
    """A contestant computed something else than fastloss."""


SAME = 1e-4  # relative; peers' rounding is within 1e-5 on these data
SAMPLE = 1 << 20  # gradient elements that are compared, in rows spread evenly over the batch


def check_same(call: Call, value: float, gradient: Array | None) -> None:
    """Raise Mismatch unless the call gives this mean loss and this gradient of the mean.

    Gradient elements may also differ by a millionth of the largest: where t is near p, peers
    that subtract them lose the digits in which the two agree.
    """
    if call.before is not None:
        call.before()
    computed, slope = call.read(call.run())
    if not np.isclose(computed, value, rtol=SAME, atol=0):
        raise Mismatch(f"value {computed:.9g}, fastloss has {value:.9g}")
    if gradient is None or slope is None:
        return
    if np.shape(slope) != gradient.shape:
        raise Mismatch(f"gradient of shape {np.shape(slope)}, fastloss has {gradient.shape}")
    step = max(1, gradient.size // SAMPLE)
    ours, theirs = gradient[::step], slope[::step]
    near = np.isclose(theirs, ours, rtol=SAME, atol=1e-6 * float(np.abs(ours).max()))
    if not near.all():
        raise Mismatch(f"{(~near).sum()} of {near.size} gradient elements differ")
