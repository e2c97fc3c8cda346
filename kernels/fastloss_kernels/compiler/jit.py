"""The decorators of compiled functions: the only file that sets Numba's options."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from fastloss_kernels.compiler.disk_cache import KernelCache
from fastloss_kernels.compiler.lowering import FragmentCompiler, InterleavingCompiler, PartCompiler
from numba import config, njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import overload

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

# The same, with loops over elements that each take a long chain of arithmetic.
interleaved_block: _Decorator = njit(**{**BLOCK, "pipeline_class": InterleavingCompiler})

# A function of a block that is not inlined, because a kernel would hold several copies of it.
called: _Decorator = njit(**_INNER)

cached_functions: dict[str, Any] = {}
"""Qualified name -> what is compiled on its own and kept on disk; see `linking`."""


def qualified_name(function: Any) -> str:
    """Return what a Python function is known by in the cache and to the linker."""
    return f"{function.__module__}.{function.__qualname__}"


def _compiled(function: Callable[..., Any], *, inlined: bool = False, **options: Any) -> Any:
    """Return the dispatcher of `function`, kept on disk; `inlined` if its callers link it."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return np.errstate(all="ignore")(function)  # machine arithmetic does not warn
    dispatcher: Any = njit(nogil=True, error_model="numpy", **options)(function)
    # Relies on these attributes: where Numba puts its own cache, and what it calls to compile, from
    # Python and from compiled code. Without them nothing is cached, or no lock is released.
    dispatcher._cache = kept = KernelCache(dispatcher.py_func, inlined=inlined)
    compile_now = dispatcher.compile

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock, kept.compiling():
            return compile_now(signature)

    dispatcher.compile = compile_once
    cached_functions[qualified_name(function)] = dispatcher
    return dispatcher


def cached(function: Callable[..., Any]) -> Any:
    """Return `function`, a part for one thread: compiled when called, and kept on disk."""
    return _compiled(function, pipeline_class=PartCompiler, no_cfunc_wrapper=True)


def public(function: Callable[..., Any]) -> Any:
    """Return `function`, a kernel that users' compiled code calls; kept on disk too."""
    return _compiled(function, inlined=True, pipeline_class=PartCompiler, no_cfunc_wrapper=True)


def parallel(function: Callable[..., Any]) -> Any:
    """Return `function`, whose `prange` loops are shared between threads; kept on disk too."""
    return _compiled(function, parallel=True)


def part(module: str, name: str, function: Callable[..., Any]) -> Any:
    """Return `function` as the cached part `name` of a loss's module.

    A part is made by a factory and closes over the loss's functions. It is known by its name: their
    sources, like all sources of the engine, are in the key of the cache.
    """
    function.__module__, function.__qualname__, function.__name__ = module, name, name
    return cached(function)


def overload_block(function: Any) -> Any:
    """Return the decorator that gives the Python `function` its compiled form, a `block`."""
    return overload(function, jit_options=BLOCK, strict=False)  # strict compares annotations too


def by_dtype(f32: Callable[..., Any], f64: Callable[..., Any]) -> Any:
    """Return the decorator of a function that is `f32` for float32 and `f64` for float64.

    The argument called ``like`` decides, or else the first one. Of the decorated function only the
    signature and the docstring are used. In compiled code the chosen body is a `block`.
    """

    def decorate(function: Any) -> Any:
        names = list(signature(function).parameters)
        decisive = names.index("like") if "like" in names else 0

        @wraps(function)
        def python(*arguments: Any) -> Any:
            dtype = getattr(arguments[decisive], "dtype", float)
            return (f32 if dtype == np.float32 else f64)(*arguments)

        def choose(*kinds: Any) -> Any:
            dtype = getattr(kinds[decisive], "dtype", kinds[decisive])
            return f32 if dtype == types.float32 else f64

        overload_block(python)(choose)
        return python

    return decorate
