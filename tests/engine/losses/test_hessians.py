"""The kernels of second derivatives: what they write beside the diagonal, layouts, threads."""

import fastloss_kernels as kernels
import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from fastloss.cli.warmup import LOSSES
from fastloss.hessians import hessian_kernel

ONE, ALL, NONE = np.ones(1), np.ones(1, bool), np.empty(0)
EPS = 1e-7
RNG = np.random.default_rng(5)
X = RNG.dirichlet(np.ones(5), 4).reshape(4, 5, 1)
T = RNG.dirichlet(np.ones(5), 4).reshape(4, 5, 1)
LABELS = np.array([0, 4, 2, 2])
WEIGHT = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
HESSIANS = {
    "binary_crossentropy": (T, NONE, 0.0, EPS),
    "binary_crossentropy_logits": (T, NONE, 0.0),
    "kullback_leibler": (T, EPS),
    "poisson": (T, EPS),
    "poisson_log_rates": (T,),
    "probability_crossentropy_dense": (T, WEIGHT, 0.1, EPS),
    "probability_crossentropy_smoothed": (LABELS, WEIGHT, 0.1, EPS),
    "softmax_crossentropy_dense": (T, WEIGHT, 0.1),
    "softmax_crossentropy_smoothed": (LABELS, WEIGHT, 0.1),
}
every_loss = pytest.mark.parametrize("name", HESSIANS)


def run(name, x, given, scale=ONE, keep=ALL):
    """Return (coefficients, diagonal) of a loss's Hessians."""
    coefficient, diagonal = np.empty(x.shape[0] * x.shape[2], x.dtype), np.empty_like(x)
    kernel = getattr(kernels, f"{name}_hessian")
    assert kernels.run(kernel, x, *given, scale, keep, coefficient, diagonal) in (None, -1)
    return coefficient, diagonal


def test_every_loss_has_a_hessian():
    losses = {name for names in LOSSES.values() for name in names}
    assert {hessian_kernel(name) for name in losses} == {f"{name}_hessian" for name in HESSIANS}
    assert all(f"{name}_hessian" in kernels.__all__ for name in HESSIANS)


@every_loss
def test_coefficients_are_for_products(name):
    """0 of diagonal Hessians; the sum of the targets; or its share of the squared sum."""
    coefficient, _ = run(name, X, HESSIANS[name])
    t = np.eye(5)[LABELS] if name.endswith("smoothed") else T[:, :, 0]
    t = WEIGHT * (0.9 * t + 0.1 / 5)
    right = t.sum(axis=1) if "crossentropy_" in name and "logits" not in name else np.zeros(4)
    np.testing.assert_allclose(coefficient, right, rtol=1e-14)
    if name.startswith("probability"):
        twice, _ = run(name, 2 * X, HESSIANS[name])
        np.testing.assert_allclose(twice, right / 4, rtol=1e-14)


@every_loss
def test_scale_and_masked_rows(name):
    _, whole = run(name, X, HESSIANS[name])
    keep, x = np.array([True, False, True, True]), X.copy()
    x[1] = np.nan
    given = HESSIANS[name]
    if given[0] is LABELS:
        given = (np.array([0, 99, 2, 2]), *given[1:])
    coefficient, diagonal = run(name, x, given, np.array([1.0, np.nan, -2.0, 0.5]), keep)
    assert coefficient[1] == 0
    np.testing.assert_array_equal(diagonal[1], 0)
    for row, scale in ((0, 1.0), (2, -2.0), (3, 0.5)):
        np.testing.assert_array_equal(diagonal[row], scale * whole[row])


@every_loss
def test_bad_labels_write_nothing(name):
    if HESSIANS[name][0] is LABELS:
        kernel, out = getattr(kernels, f"{name}_hessian"), np.full_like(X, 7.0)
        bad = np.array([0, 1, 5, -1])
        found = kernels.run(kernel, X, bad, *HESSIANS[name][1:], ONE, ALL, np.empty(4), out)
        assert found == 2
        assert (out == 7).all()


@pytest.mark.parametrize("loss", ["softmax", "probability"])
def test_labels_give_the_bits_of_one_hot_rows(loss):
    """But for smoothed targets without weights, whose sum of 1 the dense loss rounds."""
    one_hot = np.eye(5)[LABELS].reshape(4, 5, 1)
    end = () if loss == "softmax" else (EPS,)
    for weight, smoothing in ((WEIGHT, 0.1), (NONE, 0.3), (NONE, 0.0)):
        rest = (weight, smoothing, *end)
        dense = run(f"{loss}_crossentropy_dense", X, (one_hot, *rest))
        other = run(f"{loss}_crossentropy_smoothed", X, (LABELS, *rest))
        for a, b in zip(dense, other, strict=True):
            np.testing.assert_array_max_ulp(a, b, 4 if smoothing == 0.3 else 0)


def test_products_with_a_term_of_rank_one():
    d, v, c = RNG.normal(size=(3, 6, 40, 1))
    c = c[:, 0, 0].copy()
    c[2] = 0
    product = np.empty_like(d)
    kernels.run(kernels.rank_one_product, d, v, c, ALL, np.empty(6), product)
    for r in range(6):
        matrix = np.diag(d[r, :, 0] + c[r]) - c[r]
        np.testing.assert_allclose(product[r, :, 0], matrix @ v[r, :, 0], rtol=1e-12, atol=1e-13)


def test_an_infinite_coefficient_needs_something_to_multiply():
    d, v = np.array([[[3.0], [2.0]]]), np.array([[[1.0], [0.0]]])
    product = np.empty_like(d)
    kernels.run(kernels.rank_one_product, d, v, np.array([np.inf]), ALL, np.empty(1), product)
    np.testing.assert_array_equal(product.ravel(), [3, -np.inf])


@pytest.mark.parametrize("name", ["softmax_hessian_product", "rank_one_product"])
@pytest.mark.parametrize("shape", [(2500, 11, 1), (3, 20_000, 1), (5, 9, 700)])
def test_products_do_not_depend_on_threads_and_layouts(name, shape):
    x, v = RNG.normal(size=(2, *shape))
    scale, kernel = RNG.uniform(1, 2, shape[0] * shape[2]), getattr(kernels, name)
    results, before = [], get_num_threads()
    try:
        for threads in {1, before}:
            set_num_threads(threads)
            for a in (x, np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)):
                product = np.empty_like(a)
                kernels.run(kernel, a, v, scale, ALL, np.empty(len(scale)), product)
                results.append(product)
    finally:
        set_num_threads(before)
    for product in results[1:]:
        np.testing.assert_array_equal(product, results[0])
