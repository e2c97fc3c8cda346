"""Compiled functions own no arrays: nobody would free them."""

import fastloss_kernels
import numba
import numpy as np
import pytest
from fastloss_kernels.compiler.jit import block, interleaved_block
from fastloss_kernels.compiler.lowering import _SPARED, PartCompiler
from numba.core import typed_passes, untyped_passes


def test_the_passes_that_are_spared_exist():
    assert all(hasattr(untyped_passes, name) or hasattr(typed_passes, name) for name in _SPARED)


@block
def helper(x):
    return np.zeros(x.size).sum()


@pytest.mark.parametrize(
    "function",
    [lambda x: np.empty(3)[0], lambda x: (x + x)[0], lambda x: x.copy()[0], lambda x: helper(x)],
    ids=["empty", "sum", "copy", "helper"],
)
def test_a_function_that_makes_an_array_is_refused(function):
    compiled = numba.njit(pipeline_class=PartCompiler)(function)
    with pytest.raises(Exception, match="use heap_array"):
        compiled(np.ones(3))


def test_total_makes_none():
    part = numba.njit(pipeline_class=PartCompiler)(fastloss_kernels.total.py_func)
    x = np.arange(5.0)
    assert part(x) == 10.0
    assert "NRT_" not in part.inspect_llvm(part.signatures[0]).partition("define ")[2].split("}")[0]


def scaled(x, y):
    for k in range(x.size):
        y[k] = 3.0 * x[k]


@pytest.mark.parametrize(("decorator", "marked"), [(block, 0), (interleaved_block, 1)])
def test_loops_are_marked_where_it_is_wanted(decorator, marked):
    inner = decorator(scaled)
    part = numba.njit(pipeline_class=PartCompiler)(lambda x, y: inner(x, y))
    part(np.ones(3), np.ones(3))
    assert part.inspect_llvm(part.signatures[0]).count("llvm.loop.interleave.count") == marked
