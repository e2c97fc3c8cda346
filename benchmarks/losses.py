"""The asv suite: time and memory of every case of the shared table, and what starting costs.

asv makes a new process for every combination of parameters, and calls `setup` before each
repetition; so kernels are compiled, and data drawn, outside what is timed. Threads are Numba's
default number: how the losses scale with them, and how peers do, is not asked here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import CASES, Case

Array = NDArray[Any]

BY_NAME = {case.name: case for case in CASES}
COMPILING = 300  # seconds that a first run of everything may take
SHAPES = {"32x10": (32, 10), "100000x10": (100_000, 10), "2000x1000": (2_000, 1_000)}


@cache
def drawn(name: str, dtype: str, shape: str) -> tuple[Array, Array]:
    """Return a case's data, drawn once a process."""
    return BY_NAME[name].data(*SHAPES[shape], np.dtype(dtype))


class Prepared:
    """What the timed classes share: parameters, data, and a call of both forms to compile them."""

    params = (list(BY_NAME), ["float32", "float64"], list(SHAPES))
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


class Memory:
    """Peak memory of the process, with 20,000 x 1,000 float32 predictions: 80 MB an array."""

    params = (list(BY_NAME),)
    param_names = ("case",)

    def setup_cache(self) -> None:
        """Compile in another process, whose memory is not counted."""
        for case in CASES:
            self._prepare(case, repeats=1)
            self.peakmem_value()
            self.peakmem_value_and_grad()

    setup_cache.timeout = COMPILING  # type: ignore[attr-defined]

    def setup(self, name: str) -> None:
        """Make the arrays without temporaries, whose memory would be counted."""
        self._prepare(BY_NAME[name], repeats=40)

    def _prepare(self, case: Case, repeats: int) -> None:
        y_true, y_pred = case.data(500, 1_000)
        self.loss = case.loss(**case.options)
        self.y_true = np.tile(y_true, (repeats,) + (1,) * (y_true.ndim - 1))
        self.y_pred = np.tile(y_pred, (repeats, 1))

    def peakmem_value(self, *_: str) -> None:
        self.loss(self.y_true, self.y_pred)

    def peakmem_value_and_grad(self, *_: str) -> None:
        self.loss.value_and_grad(self.y_true, self.y_pred, out=self.y_pred)


class Start:
    """Seconds of what a new process pays once."""

    number = 1
    repeat = 3
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
