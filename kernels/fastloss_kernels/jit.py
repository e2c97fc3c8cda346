"""The only file that knows Numba's options; where compiled kernels are kept: see `cache`."""

import contextlib
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import config, njit, prange, typeof
from numba import types as nb

from fastloss_kernels.cache import KernelCache
from fastloss_kernels.calls import call_part
from fastloss_kernels.lowering import FragmentCompiler, PartCompiler

_Decorator = Callable[[Callable[..., Any]], Any]

# Without wrappers a function compiles faster, but only compiled code can call it. No fast-math flag
# anywhere: the order of every sum is ours, and infinities and NaN are legal input.
_INNER: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": FragmentCompiler,
}

# A function of a block or an element: always inlined into its caller's machine code.
BLOCK: Any = {**_INNER, "forceinline": True}
block: _Decorator = njit(**BLOCK)

# A function of a block that is compiled once and called: inlined, its code would stand in several
# places of a kernel.
called: _Decorator = njit(**_INNER)

# A loop that takes a block function as an argument. It is inlined as source, so the function is a
# constant there; one that is passed at run time could not be cached.
generic: _Decorator = njit(inline="always")


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Return the dispatcher of `function`, cached where there is a place to write to."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return np.errstate(all="ignore")(function)  # machine arithmetic does not warn
    dispatcher: Any = njit(nogil=True, error_model="numpy", **options)(function)
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = KernelCache(dispatcher.py_func)
    return dispatcher


def cached(function: Callable[..., Any]) -> Any:
    """Return `function` for one thread: compiled when called, and kept on disk."""
    return _compiled(function, pipeline_class=PartCompiler)


part = cached
"""What one thread does with its share of the rows: ``(first, last, *arguments of the kernel)``."""

_parts: dict[Any, Any] = {}  # kernel -> its part
ways: dict[Any, Any] = {}
"""Kernel -> ``way(x, loss)``: the kernel that does a part of its work, if that is enough."""


def kernel(part: Any, way: Callable[[Any, Any], Any] | None = None) -> _Decorator:
    """Return the decorator of a kernel that shares its rows between threads, each calling `part`.

    ``way(x, loss)`` is another kernel with the same arguments that is enough for these, or None.

    Numba compiles the body of a parallel loop five times over (the loop body and the three wrappers
    around it each hold a copy), which is why the body is but a call: see `calls`. Small work does
    not wait for it: see `entry`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        decorated = _compiled(function, parallel=True)
        _parts[decorated] = part
        if way is not None:
            ways[decorated] = way
        return decorated

    return decorate


@generic
def each_part(part: Any, rows: int, threads: int, arguments: Any) -> None:
    """Call ``part(first, last, *arguments)`` on `rows` split evenly over `threads`."""
    if threads > 1:
        for p in prange(threads):
            call_part(part, p * rows // threads, (p + 1) * rows // threads, arguments)
    else:
        call_part(part, 0, rows, arguments)


@generic
def first_found(part: Any, rows: int, threads: int, arguments: Any) -> int:
    """Do as `each_part`; return the first result that is not negative, in the order of the rows."""
    found = np.empty(threads, np.int64)
    for p in prange(threads):
        found[p] = call_part(part, p * rows // threads, (p + 1) * rows // threads, arguments)
    first = -1
    for p in range(threads):
        if first < 0:
            first = found[p]
    return first


def signature(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types `arguments` of a kernel are compiled for, whatever their layout.

    Left to itself Numba compiles a kernel anew for every combination of C, Fortran and other
    layouts, writeable and read-only. Here predictions, targets and gradients have any strides and
    all inputs are read-only, which every array of the right dtype and rank satisfies; kernels find
    out at run time what lies contiguous. The last three arguments are loss, gradient and threads.
    """
    kinds: list[Any] = []
    for position, argument in enumerate(arguments):
        kind: Any = typeof(argument)
        if isinstance(kind, nb.Array):
            output = position >= len(arguments) - 3
            layout: Any = "A" if kind.ndim == 3 else "C"
            kind = nb.Array(kind.dtype, kind.ndim, layout, readonly=not output)
        kinds.append(kind)
    return tuple(kinds)


@cache
def parameters(kernel: Any) -> tuple[str, ...]:
    """Return the names of a kernel's arguments but `threads`; KeyError if it is none."""
    _ = _parts[kernel]
    return tuple(inspect.signature(kernel).parameters)[:-1]


def entry(kernel: Any, arguments: tuple[Any, ...], parallel: bool) -> Any:
    """Return what is compiled for the `signature` of these arguments.

    That is the kernel if `parallel`. Else it is its part, which is called with the first and the
    last row in front, and without the number of threads.
    """
    dispatcher, kinds = kernel, signature(arguments)
    if not parallel:
        dispatcher, kinds = _parts[kernel], (nb.intp, nb.intp, *kinds[:-1])
    if not hasattr(dispatcher, "compile"):  # NUMBA_DISABLE_JIT
        return dispatcher
    dispatcher.compile(kinds)
    return dispatcher.overloads[kinds].entry_point
