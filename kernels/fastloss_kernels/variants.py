"""Every compiled form that calls of a kernel from Python may need: to compile them ahead."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype
from numba import types as nb

from fastloss_kernels.compiler.part_types import scratch_types
from fastloss_kernels.launch import signature
from fastloss_kernels.loops.kernel import parallel_rows, share_of_rows
from fastloss_kernels.loops.packed import pack_rows
from fastloss_kernels.typing import NO_TARGETS

_WORKING = {"float32": np.float32, "float64": np.float64, "int16": np.float32, "uint16": np.float32}


class Variant(NamedTuple):
    """A function that is compiled on its own, and the types of its arguments."""

    name: str
    function: Any
    kinds: tuple[Any, ...]

    def compile(self) -> bool:
        """Compile or load it; return whether it had to be compiled."""
        self.function.compile(self.kinds)
        return self.kinds in self.function.stats.cache_misses

    def file(self) -> tuple[str, bytes] | None:
        """Return name and content of the file or member of a bundle that it was loaded from."""
        found: tuple[str, bytes] | None = self.function._cache.file(self.kinds)
        return found


def variants(kernel: Any, dtype: str) -> Iterator[Variant]:
    """Yield the variants of a kernel for predictions of a dtype: with and without gradient or out.

    Each calls only those before it. Kernels share some of them.

    Parameters
    ----------
    kernel : function of this package, but `run`
        What is called.
    dtype : {"float32", "float64", "int16", "uint16"}
        Of the predictions; the integers are the bits of float16 and bfloat16. Gradient and `out`
        have the working dtype: float64 beside float64, else float32.

    Examples
    --------
    >>> import fastloss_kernels as kernels
    >>> for variant in variants(kernels.poisson, "float32"):
    ...     print(variant.name)
    parallel_rows
    poisson.rows, float32
    poisson.pack_rows, float32
    poisson.share_of_rows, float32
    poisson.packed, float32
    poisson.columns, float32
    poisson.spread, float32
    poisson.rows, float32, gradient
    poisson.pack_rows, float32, gradient
    poisson.share_of_rows, float32, gradient
    poisson.packed, float32, gradient
    poisson.columns, float32, gradient
    poisson.spread, float32, gradient
    """
    working = np.dtype(_WORKING[dtype])
    if not hasattr(kernel, "parts"):
        yield from _plain_variants(kernel, working)
        return
    x, targets = np.empty((1, 1, 1), dtype), np.empty((1, 1, 1), working)
    of_class = np.empty(0, working)
    forms: dict[str, Any] = {"x": x, "labels": np.empty(1, np.int64), "targets": targets}
    forms |= {"class_weight": of_class, "pos_weight": of_class, "smoothing": 0.0, "eps": 0.0}
    names = list(inspect.signature(kernel).parameters)
    given = [forms[name] for name in names if name in forms]
    outputs: list[tuple[Any, str]] = [(targets, ", gradient" if "grad" in names else ", out")]
    if "loss" in names or "logsumexp" in names:  # which may be wanted alone
        outputs = [(None, ""), *outputs]
    if len(given) == 1:
        given.append(NO_TARGETS)
    options, (rows, short_rows, packed, columns, check, loop) = tuple(given[2:]), kernel.parts
    number = nb.intp
    yield Variant("parallel_rows", parallel_rows, (number, nb.UniTuple(number, 2), *3 * [number]))
    for grad, form in outputs:
        rest = np.empty(1), np.empty(1, bool), np.empty(1, working), grad
        kinds = signature((*given[:2], options, *rest))
        together = nb.Tuple(kinds)
        needed = {
            rows: (number, number, *scratch_types(kinds)),
            short_rows: (number, number, *scratch_types(kinds)),
            check: (number, number, *kinds),
            pack_rows: (*4 * [number], together),
            share_of_rows: (*3 * [number], nb.CPointer(together)),
            packed: (number, number, *kinds),
            columns: (number, number, *kinds),
            loop: (*3 * [number], together),
        }
        needed.pop(None, None)  # no check without labels
        for function, types in needed.items():
            name = f"{kernel.__name__}.{function.__name__}, {dtype}{form}"
            yield Variant(name, function, types)


def _plain_variants(function: Any, working: np.dtype[Any]) -> Iterator[Variant]:
    """Yield the variants of a function of contiguous arrays, which has no parts."""
    number, whole = from_dtype(working), nb.int64
    matrix, values, numbers = nb.Array(number, 2, "C"), nb.Array(number, 1, "C"), nb.float64[::1]
    forms: dict[str, Any] = {
        "x": matrix,
        "p": matrix,
        "largest": values,
        "own": values,
        "scores": numbers,
    }
    forms |= dict.fromkeys(("labels", "rank", "top"), nb.Array(whole, 1, "C"))
    forms["limit"] = whole
    names = list(inspect.signature(function).parameters)
    if names == ["values"]:  # `total`: of losses, and of counts
        for kind in (number, whole):
            yield Variant(f"{function.__name__}, {kind}", function, (nb.Array(kind, 1, "C"),))
        return
    kinds = tuple(forms[name] for name in names)
    yield Variant(f"{function.__name__}, {working}", function, kinds)
