"""The decorators of compiled functions: the only file that sets Numba's options."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from fastloss_kernels.compiler.disk_cache import KernelCache
from fastloss_kernels.compiler.lowering import FragmentCompiler, PartCompiler
from numba import config, njit

_Decorator = Callable[[Callable[..., Any]], Any]

# Without wrappers a function compiles faster, but only compiled code can call it. No fast-math flag
# anywhere: the order of every sum is fixed, and infinities and NaN are legal input.
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

# A function of a block that is not inlined, because a kernel would hold several copies of it.
called: _Decorator = njit(**_INNER)

cached_functions: dict[str, Any] = {}
"""Qualified name -> what is compiled on its own and kept on disk; see `linking`."""


def qualified_name(function: Any) -> str:
    """Return what a Python function is known by in the cache and to the linker."""
    return f"{function.__module__}.{function.__qualname__}"


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Return the dispatcher of `function`, cached where there is a place to write to."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return np.errstate(all="ignore")(function)  # machine arithmetic does not warn
    dispatcher: Any = njit(nogil=True, error_model="numpy", **options)(function)
    with contextlib.suppress(RuntimeError):
        # Relies on this attribute, where Numba puts its own cache; without it nothing is cached.
        dispatcher._cache = KernelCache(dispatcher.py_func)
    cached_functions[qualified_name(function)] = dispatcher
    return dispatcher


def cached(function: Callable[..., Any]) -> Any:
    """Return `function` for one thread: compiled when called, and kept on disk."""
    return _compiled(function, pipeline_class=PartCompiler, no_cfunc_wrapper=True)


def parallel(function: Callable[..., Any]) -> Any:
    """Return `function`, whose `prange` loops are shared between threads; kept on disk too."""
    return _compiled(function, parallel=True)


def part(module: str, name: str, function: Callable[..., Any]) -> Any:
    """Return `function` as the cached part `name` of a loss's module.

    A part is made by a factory and closes over the loss's functions. It is known by its name: their
    sources, like all sources of the engine, are in the key of the cache.
    """
    function.__module__ = module
    function.__qualname__ = f"{module.rpartition('.')[2]}.{name}"
    return cached(function)
