"""The kernels of activations from compiled code and through `run`; see also the facade's tests."""

import fastloss_kernels as kernels
import numpy as np
import pytest
from fastloss_kernels.variants import variants
from numba import njit

MAPS = {
    kernels.softmax: lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    kernels.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    kernels.log_sigmoid: lambda x: -np.log1p(np.exp(-x)),
}
every_map = pytest.mark.parametrize("kernel", MAPS, ids=lambda kernel: kernel.__name__)


def logits(shape=(20, 30, 1), dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@every_map
def test_compiled_code_calls_a_kernel(kernel):
    @njit
    def twice(x, out):
        kernel(x, out, 1)
        kernel(x, x, 2)

    x = logits()
    wanted, out = MAPS[kernel](x), np.empty_like(x)
    twice(x, out)
    np.testing.assert_allclose(out, wanted, rtol=1e-13)
    np.testing.assert_array_equal(x, out)


def test_compiled_code_calls_log_softmax():
    @njit
    def both(x, sums, out):
        kernels_log_softmax(x, sums, None, 1)
        first = sums.copy()
        kernels_log_softmax(x, sums, out, 2)
        return first

    kernels_log_softmax = kernels.log_softmax
    x = logits((4, 50, 6))
    sums, out = np.empty(24), np.empty_like(x)
    np.testing.assert_array_equal(both(x, sums, out), sums)
    wanted = np.log(np.exp(x).sum(axis=1))
    np.testing.assert_allclose(sums, wanted.ravel(), rtol=1e-13)
    np.testing.assert_allclose(out, x - wanted[:, None], rtol=1e-12)


@every_map
def test_run_looks_at_the_arguments(kernel):
    x = logits(dtype=np.float32)
    out = np.zeros_like(x)
    assert kernels.run(kernel, x, out) is None
    np.testing.assert_allclose(out, MAPS[kernel](x), rtol=1e-6)
    kernels.run(kernel, x, x)
    np.testing.assert_array_equal(x, out)
    for wrong, error, match in (
        (None, TypeError, "out must be a plain NumPy array"),
        (np.empty((20, 30)), TypeError, "out must have native dtype float32"),
        (np.empty((20, 29, 1), np.float32), ValueError, r"out must have shape \(20, 30, 1\)"),
    ):
        with pytest.raises(error, match=match):
            kernels.run(kernel, x, wrong)
    with pytest.raises(ValueError, match="out must be x itself or overlap no input"):
        kernels.run(kernel, x[1:], x[:-1])
    with pytest.raises(TypeError, match="must be run with the 2 arguments x, out, got 3"):
        kernels.run(kernel, x, out, out)


def test_run_takes_log_softmax_without_out():
    x = logits()
    sums, again, out = np.empty(20), np.empty(20), np.empty_like(x)
    kernels.run(kernels.log_softmax, x, sums, None)
    kernels.run(kernels.log_softmax, x, again, out)
    np.testing.assert_array_equal(sums, again)
    with pytest.raises(ValueError, match="logsumexp must overlap no other argument"):
        kernels.run(kernels.log_softmax, x, out.reshape(-1)[:20], out)


def test_variants_are_what_calls_need():
    loops = "pack_rows", "share_of_rows"
    log_parts = "log_rows", *loops, "log_packed", "spread"
    assert [v.name for v in variants(kernels.softmax, "float32")] == [
        "parallel_rows",
        *(f"softmax.{part}, float32, out" for part in ("rows", *loops, "packed", "spread")),
    ]
    assert [v.name for v in variants(kernels.log_softmax, "int16")] == [
        "parallel_rows",
        *(f"log_softmax.{part}, int16{form}" for form in ("", ", out") for part in log_parts),
    ]
