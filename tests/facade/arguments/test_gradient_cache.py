"""Memory of freed gradients is used again, and never while an array still uses it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastloss as fl
from fastloss.arguments import gradient_cache
from fastloss.arguments.gradient_cache import LEAST, empty_output

FLOAT32 = np.dtype(np.float32)
SHAPE = (LEAST // 4 // 1000 + 1, 1000)
SIZE = 4 * SHAPE[0] * SHAPE[1]


@pytest.fixture(autouse=True)
def cache():
    """An empty cache with room for two gradients of SHAPE."""
    before = fl.set_gradient_cache(0)
    fl.set_gradient_cache(2 * SIZE)
    yield
    fl.set_gradient_cache(0)
    fl.set_gradient_cache(before)


def place(array):
    return array.__array_interface__["data"][0]


def kept():
    return sum(memory.nbytes for memory in gradient_cache._cache._kept)


def new(shape=SHAPE, dtype=FLOAT32):
    return empty_output(np.broadcast_to(np.float32(0), shape), dtype)


def test_memory_of_a_freed_gradient_is_used_again():
    x, y = np.zeros(SHAPE, np.float32), np.zeros(SHAPE[0], int)
    _, grad = fl.value_and_grad(fl.sparse_categorical_crossentropy)(y, x, from_logits=True)
    expected, at = grad.copy(), place(grad)
    del grad
    assert kept() == SIZE
    _, again = fl.value_and_grad(fl.sparse_categorical_crossentropy)(y, x, from_logits=True)
    assert place(again) == at
    assert kept() == 0
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("part", [lambda g: g[7:8], lambda g: g.T, memoryview, iter])
def test_memory_in_use_is_not_given_away(part):
    grad = new()
    at, user = place(grad), part(grad)
    del grad
    assert kept() == 0
    assert place(new()) != at
    del user
    assert kept() == 2 * SIZE


def test_the_limit_and_the_oldest():
    arrays = [new() for _ in range(3)]
    at = [place(array) for array in arrays]
    while arrays:
        del arrays[0]
    assert kept() == 2 * SIZE
    assert {place(new()), at[0]} & set(at[1:]) != set()
    fl.set_gradient_cache(SIZE)
    assert kept() == SIZE
    assert fl.set_gradient_cache(0) == SIZE
    assert kept() == 0


def test_much_larger_memory_is_not_taken():
    at = place(new((2 * SHAPE[0], 1000)))
    smaller = new()
    assert place(smaller) != at
    assert kept() == 2 * SIZE


class Subclass(np.ndarray):
    """Of users."""


def test_small_gradients_and_subclasses_are_numpys():
    assert new((10, 10)).flags.owndata
    assert isinstance(empty_output(np.zeros(SHAPE).view(Subclass), FLOAT32), Subclass)
    assert kept() == 0


def test_it_has_the_memory_order_that_numpy_would_choose():
    grid = np.empty((3, 5, 7, LEAST // 16), np.float32)
    for like in (grid, grid.T, grid.transpose(0, 3, 1, 2), grid[:, ::-1], grid[:1]):
        wanted = np.empty_like(like)
        made = empty_output(like, FLOAT32)
        assert made.strides == wanted.strides
        assert made.flags.writeable
        assert made.flags.aligned
    assert empty_output(grid, np.dtype(np.float64)).dtype == np.float64


def test_threads_share_it():
    rng = np.random.default_rng(0)
    x = rng.random((4, *SHAPE)).astype(np.float32)
    expected = [fl.value_and_grad(fl.poisson)(one, one)[1].copy() for one in x]

    def repeat(k):
        for _ in range(10):
            _, grad = fl.value_and_grad(fl.poisson)(x[k], x[k])
            np.testing.assert_array_equal(grad, expected[k])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repeat, range(4)))
    assert kept() <= 2 * SIZE


def test_the_limit_must_be_a_number_of_bytes():
    with pytest.raises(ValueError, match="limit must be a number of bytes, 0 or more, got -1"):
        fl.set_gradient_cache(-1)
    with pytest.raises(TypeError):
        fl.set_gradient_cache(1e9)
