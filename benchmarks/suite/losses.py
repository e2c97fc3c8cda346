"""The asv suite: time of every case, alone and beside memory's, memory, and what starting costs.

asv makes a new process for every combination of parameters, and calls `setup` before each
repetition; so kernels are compiled, and data drawn, outside what is timed. Threads are Numba's
default number. How peers do is asked in compare.py, not here.
"""

from __future__ import annotations

import math
import random
from functools import cache
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from benchmarks import limits, ours
from benchmarks.cases import CASES, Case
from benchmarks.contest import LIMIT, OURS
from benchmarks.rounds import SEED, Settings, shuffled, timing

Array = NDArray[Any]

BY_NAME = {case.name: case for case in CASES}
DTYPES = ["float32", "float64"]
SHAPES = {"32x10": (32, 10), "100000x10": (100_000, 10), "2000x1000": (2_000, 1_000)}
LARGE = (20_000, 1_000)  # 80 MB in float32: more than caches hold
COMPILING = 300  # seconds that a first run of everything may take


@cache
def drawn(name: str, dtype: str, shape: str) -> tuple[Array, Array]:
    """Return a case's data, drawn once a process."""
    return BY_NAME[name].data(*SHAPES[shape], np.dtype(dtype))


def large(case: Case, dtype: str = "float32") -> tuple[Array, Array]:
    """Return LARGE data made of copies of a few rows: no temporaries, whose memory would count."""
    repeats = 40
    y_true, y_pred = case.data(LARGE[0] // repeats, LARGE[1], dtype)
    return np.tile(y_true, (repeats,) + (1,) * (y_true.ndim - 1)), np.tile(y_pred, (repeats, 1))


class Prepared:
    """What the timed classes share: parameters, data, and a call of both forms to compile them."""

    params = (list(BY_NAME), DTYPES, list(SHAPES))
    param_names = ("case", "dtype", "shape")
    timeout = COMPILING

    def setup(self, name: str, dtype: str, shape: str) -> None:
        """Give the call data of its own, and compile."""
        case = BY_NAME[name]
        self.loss = case.loss(**case.options)
        self.y_true, y_pred = drawn(name, dtype, shape)
        self.y_pred, self.out = y_pred.copy(), np.empty_like(y_pred)
        self.loss(self.y_true, self.y_pred)
        self.loss.value_and_grad(self.y_true, self.y_pred, out=self.out)


class Time(Prepared):
    """Seconds of one call of the class, unweighted."""

    def time_value(self, *_: str) -> None:
        self.loss(self.y_true, self.y_pred)

    def time_value_and_grad(self, *_: str) -> None:
        self.loss.value_and_grad(self.y_true, self.y_pred, out=self.out)


class TimeInPlace(Prepared):
    """Seconds of one call that writes the gradient over the predictions.

    One call a repetition: the second would take the first one's gradient for predictions.
    """

    number = 1
    warmup_time = 0

    def time_value_and_grad(self, *_: str) -> None:
        self.loss.value_and_grad(self.y_true, self.y_pred, out=self.y_pred)


class BesideMemory:
    """A call on LARGE data beside moving the same arrays: seconds, and ratio of times.

    Both fall when the code gets faster, as every number of this suite: asv takes a rise for worse.
    """

    params = (list(BY_NAME), DTYPES)
    param_names = ("case", "dtype")
    timeout = COMPILING
    ROUNDS = 15

    def setup(self, name: str, dtype: str) -> None:
        """Draw data and prepare both calls, which `measure` runs before it times them."""
        self.data = large(BY_NAME[name], dtype)
        self.entered = {
            OURS: ours.prepare(BY_NAME[name], *self.data, threads=0),
            LIMIT: limits.prepare(*self.data),
        }

    def measure(self, form: str) -> tuple[float, float]:
        """Return the seconds, and the time as a multiple of the limit's."""
        entered = self.entered.items()
        calls = {name: call for name, forms in entered if (call := forms[form].reused)}
        how = Settings(self.ROUNDS, math.inf, get_num_threads())
        laps = shuffled(calls, how, random.Random(SEED))
        seconds = timing(laps[OURS]).seconds
        return seconds, round(seconds / timing(laps[LIMIT]).seconds, 3)

    def track_value(self, *_: str) -> float:
        return self.measure("value")[0]

    def track_value_in_reads(self, *_: str) -> float:
        return self.measure("value")[1]

    def track_value_and_grad(self, *_: str) -> float:
        return self.measure("value_and_grad")[0]

    def track_value_and_grad_in_copies(self, *_: str) -> float:
        return self.measure("value_and_grad")[1]

    track_value.unit = track_value_and_grad.unit = "seconds"  # type: ignore[attr-defined]
    track_value_in_reads.unit = "times a read"  # type: ignore[attr-defined]
    track_value_and_grad_in_copies.unit = "times a copy"  # type: ignore[attr-defined]


class Memory:
    """Peak memory of the process, with LARGE float32 predictions."""

    params = (list(BY_NAME),)
    param_names = ("case",)

    def setup_cache(self) -> None:
        """Compile in another process, whose memory is not counted."""
        for name in BY_NAME:
            self.setup(name)
            self.peakmem_value()
            self.peakmem_value_and_grad()

    setup_cache.timeout = COMPILING  # type: ignore[attr-defined]

    def setup(self, name: str) -> None:
        """Make the arrays."""
        self.loss = BY_NAME[name].loss(**BY_NAME[name].options)
        self.y_true, self.y_pred = large(BY_NAME[name])

    def peakmem_arrays_alone(self, *_: str) -> None:
        """Do nothing: what the others start from."""

    def peakmem_value(self, *_: str) -> None:
        self.loss(self.y_true, self.y_pred)

    def peakmem_value_and_grad(self, *_: str) -> None:
        self.loss.value_and_grad(self.y_true, self.y_pred, out=self.y_pred)


class Start:
    """Seconds of what a new process pays once."""

    number = 1
    repeat = 3
    timeout = COMPILING
    CALL = "fastloss.SparseCategoricalCrossentropy(from_logits=True)([1], [[0.5, 0.5]])"
    NEW_CACHE = (
        "import os, tempfile\n"
        "folder = tempfile.TemporaryDirectory()\n"
        "os.environ['NUMBA_CACHE_DIR'] = folder.name\n"
    )

    def timeraw_import_numba(self) -> str:
        return "import numba"

    def timeraw_import(self) -> str:
        return "import fastloss"

    def timeraw_first_call_compiling(self) -> tuple[str, str]:
        return self.CALL, self.NEW_CACHE + "import fastloss"

    def timeraw_first_call_cached(self) -> tuple[str, str]:
        # Another process fills the cache first.
        program = f"import fastloss; {self.CALL}"
        fill = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}])\n"
        return self.CALL, fill + "import fastloss"
