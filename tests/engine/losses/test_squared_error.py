"""The example of a new loss, docs/squared_error.py, goes through every walk of the engine."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import fastloss_kernels as fk
import numpy as np
import pytest
import squared_error as example
from fastloss_kernels import tuning
from numba import njit

ONE, ALL = np.ones(1), np.ones(1, bool)
# Short rows, rows of several blocks, rows longer than a piece; the same rows class-major.
SHAPES = [(200, 3, 1), (70, 133, 1), (3, tuning.BLOCK + 5, 1), (2, 40, 100), (1, 5, 700), (4, 0, 1)]


def formula(x, t, scale):
    difference = x.astype(np.float64) - t
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = (difference**2).sum(axis=1) / x.shape[1]
        return loss.ravel(), 2 * difference * scale.reshape(x.shape[0], 1, -1) / x.shape[1]


def draw(shape, dtype):
    rng = np.random.default_rng(shape[1])
    x, t = rng.normal(0, 3, (2, *shape)).astype(dtype)
    n = shape[0] * shape[2]
    return x, t, rng.choice([1.0, -2.5, 0.125], n), rng.random(n) < 0.9


CASES = [*((shape, np.float32) for shape in SHAPES), (SHAPES[1], np.float64)]


@pytest.mark.parametrize(("shape", "dtype"), CASES, ids=str)
def test_every_walk_gives_the_formula(shape, dtype):
    x, t, scale, keep = draw(shape, dtype)
    expected, slopes = formula(x, t, scale)
    kept = np.broadcast_to(keep.reshape(shape[0], 1, shape[2]), shape)
    loss, grad = np.full(scale.size, 7, dtype), np.full_like(x, 7)
    fk.run(example.squared_error, x, t, scale, keep, loss, grad)
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(loss, np.where(keep, expected, 0), rtol=tolerance)
    np.testing.assert_allclose(grad, np.where(kept, slopes, 0), rtol=tolerance)
    alone = np.empty_like(loss)
    fk.run(example.squared_error, x, t, scale, keep, alone, None)
    np.testing.assert_array_equal(alone, loss)
    inside = x.copy()
    fk.run(example.squared_error, inside, t, scale, keep, alone, inside)
    np.testing.assert_array_equal(inside, grad)
    wide = np.full((2 * shape[0], shape[1] + 3, shape[2]), 7, dtype)
    view = wide[::2, : shape[1]]
    view[...] = x
    fk.run(example.squared_error, view, t, scale, keep, alone, view)
    np.testing.assert_array_equal(alone, loss)
    np.testing.assert_array_equal(view, grad)


@pytest.mark.parametrize("shape", [(70, 133, 1), (2, 40, 100)], ids=str)
def test_half_precision(shape):
    x, t, scale, keep = draw(shape, np.float32)
    half = x.astype(np.float16)
    loss, grad = np.empty(scale.size, np.float32), np.empty(shape, np.int16)
    fk.run(example.squared_error, half.view(np.int16), t, scale, keep, loss, grad)
    same, slopes = np.empty_like(loss), np.empty_like(x)
    fk.run(example.squared_error, half.astype(np.float32), t, scale, keep, same, slopes)
    np.testing.assert_array_equal(loss, same)
    np.testing.assert_array_equal(grad.view(np.float16), slopes.astype(np.float16))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_from_compiled_code_on_several_threads(threads):
    x, t, scale, keep = draw((2, 40, 100), np.float32)
    expected, slopes = np.empty(200, np.float32), np.empty_like(x)
    fk.run(example.squared_error, x, t, scale, keep, expected, slopes)

    @njit
    def own(x, t, scale, keep, loss, grad, threads):
        example.squared_error(x, t, scale, keep, loss, grad, threads)

    loss, grad = np.empty(200, np.float32), np.empty_like(x)
    own(x, t, scale, keep, loss, grad, threads)
    np.testing.assert_array_equal(loss, expected)
    np.testing.assert_array_equal(grad, slopes)


def test_an_edited_loss_outside_the_package_is_compiled_anew(tmp_path):
    """What a part computes stands in the loss's file, not in that of its factory."""
    source = Path(example.__file__).read_text(encoding="utf-8")
    program = """
import numpy as np, fastloss_kernels as fk, squared_error
x, loss = np.full((2, 3, 1), 3.0), np.empty(2)
one, every = np.ones(1), np.ones(1, bool)
fk.run(squared_error.squared_error, x, np.zeros_like(x), one, every, loss, None)
print(loss[0])
"""
    engine = Path(fk.__file__).parent.parent
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(engine)]),
    }
    printed = []
    for text in (source, source.replace("difference * difference", "difference")):
        (tmp_path / "squared_error.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        printed.append(done.stdout.strip())
    assert printed == ["9.0", "3.0"]


def test_its_example():
    assert doctest.testmod(example).failed == 0
