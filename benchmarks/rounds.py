"""How calls are timed beside each other: in shuffled rounds, after a rest, with a control.

Calls of one process disturb each other: threads of the last one spin, memory goes back, caches hold
what it left. So each round has another order, each call a rest before it, and what counts is the
least time; and one call takes part twice, under two names: if its least times differ, something
else was at work.
"""

import random
import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple

from .contest import Call
from .equal import check_threads, set_threads

LAP = 0.02  # seconds a lap lasts at least: ten thousand times what reading the clock costs
# Seconds before each lap. Threads of one OpenMP library spin after its last loop, waiting for
# another: 8 ms were seen. The next call would share its cores with them.
REST = 0.02
# Before a lap the call runs once untimed, which wakes threads and fills caches. What lasts so long
# does not show that, and is spared it but for the first round: else it would take half of the time.
LONG = 0.1
CONTROL = "control"  # the name under which one call runs again
AGREE = 1.1  # the larger of the control's two least times over the smaller, at most
ATTEMPTS = 3  # how often calls are timed before they are called disturbed
FEWEST = 4  # rounds, however long they take
SEED = 0  # of the order


class Settings(NamedTuple):
    """How long calls are timed."""

    rounds: int
    budget: float
    """Seconds after which no other round begins, if there were `FEWEST`."""
    threads: int


class Lap(NamedTuple):
    """How one call went."""

    seconds: float
    cores: float
    """Processor time over elapsed time: how many cores were at work."""


class Timing(NamedTuple):
    """How the calls of one contestant went, over all rounds."""

    seconds: float
    """The least."""
    median: float
    cores: float
    """The median."""


class Measured(NamedTuple):
    """What is known of calls that were timed beside each other."""

    timings: dict[str, Timing]
    rounds: int
    attempts: int
    disturbed: bool


def controlled(
    calls: Mapping[str, Call], twin: str, how: Settings, order: random.Random
) -> Measured:
    """Time all calls, and the one called `twin` twice; again where its times do not agree."""
    doubled = {**calls, CONTROL: calls[twin]}
    attempts, disturbed = 0, True
    while disturbed and attempts < ATTEMPTS:
        attempts += 1
        laps = shuffled(doubled, how, order)
        timings = {name: timing(found) for name, found in laps.items()}
        once, again = timings[twin].seconds, timings[CONTROL].seconds
        disturbed = max(once, again) > AGREE * min(once, again)
    return Measured(timings, len(laps[twin]), attempts, disturbed)


def shuffled(
    calls: Mapping[str, Call], how: Settings, order: random.Random
) -> dict[str, list[Lap]]:
    """Time every call once a round, in an order drawn anew for each."""
    counts = dict.fromkeys(calls, 1)
    laps: dict[str, list[Lap]] = {name: [] for name in calls}
    start = time.perf_counter()
    for turn in range(how.rounds):
        if turn >= FEWEST and time.perf_counter() - start > how.budget:
            break
        for name in order.sample(list(calls), len(calls)):
            call = calls[name]
            untimed = turn == 0 or laps[name][-1].seconds < LONG
            lap = _lap(call, counts[name], how.threads, untimed)
            if turn == 0 and lap.seconds < LAP and call.before is None:  # too short to be one
                counts[name] = int(LAP / lap.seconds) + 1
                lap = _lap(call, counts[name], how.threads, untimed)
            laps[name].append(lap)
    return laps


def timing(laps: list[Lap]) -> Timing:
    """Return what is kept of a contestant's laps."""
    seconds, cores = zip(*laps, strict=True)
    return Timing(min(seconds), statistics.median(seconds), statistics.median(cores))


def _lap(call: Call, count: int, threads: int, untimed: bool) -> Lap:
    """Time `count` calls; after another one, if that is wanted."""
    time.sleep(REST)
    set_threads(threads)  # another library's loop may have changed them
    for prepare in (*((call.before, call.run) if untimed else ()), call.before):
        if prepare is not None:
            prepare()
    run, busy, start = call.run, time.process_time(), time.perf_counter()
    for _ in range(count):
        run()
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    check_threads(threads)
    return Lap(seconds / count, busy / seconds)
