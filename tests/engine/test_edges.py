"""The kernels where their formulas change: at bounds, without classes, beyond the floats."""

import itertools

import fastloss_kernels as kernels
import numba
import numpy as np
import pytest
from fastloss_kernels import tuning
from fastloss_kernels.losses.softmax_formulas import far_losses
from fastloss_kernels.memory.layout import rows_per_tile
from fastloss_kernels.memory.streaming import no_prefetch
from fastloss_kernels.reductions.argmax import top_class, top_class_ahead
from fastloss_kernels.reductions.exp_rows import (
    ExpSums,
    RowExponents,
    row_exponents,
    small_magnitude,
)
from fastloss_kernels.simd.scalar import bits
from numba import njit

ONE, ALL = np.ones(1), np.ones(1, bool)
FLOATS = pytest.mark.parametrize("kind", [np.float32, np.float64])
plain = pytest.mark.skipif(
    not numba.config.DISABLE_JIT, reason="Python cannot call compiled parts of a kernel"
)


def run(kernel, x, *arguments, scale=ONE, keep=ALL):
    """Return (what the kernel returns, losses, gradient) for rows x."""
    x = x.reshape(*x.shape, 1)
    loss, grad = np.full(x.shape[0], 7, x.dtype), np.full_like(x, 7)
    arguments = [a.reshape(x.shape) if np.ndim(a) == 2 else a for a in arguments]
    bad = kernels.run(kernel, x, *arguments, scale, keep, loss, grad)
    return bad, loss, grad[:, :, 0]


SHARES = np.array([0.6, 0.4 - 5e-4, 5e-4])  # the last one is below the bound
SUMS = np.array([0.5, -0.5, 1.0, -1.0, 0.25, -0.25, 3.0, -3.0])


@pytest.mark.parametrize(("label", "share"), [(0, 1e-3), (1, 1 - 1e-3)])
def test_infinite_shares_of_a_sum_of_0_are_clipped_by_their_sign(label, share):
    x = np.array([[-1.0, 1.0]])
    _, loss, _ = run(kernels.probability_crossentropy_sparse, x, np.array([label]), 1e-3)
    np.testing.assert_allclose(loss, -np.log(share), rtol=1e-12)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_shares_of_any_sum_are_clipped(label):
    x = SUMS[:, None] * SHARES
    p = np.clip(SHARES, 1e-3, 1 - 1e-3)
    inside = p == SHARES
    labels = np.full(SUMS.size, label)
    _, loss, grad = run(kernels.probability_crossentropy_sparse, x, labels, 1e-3)
    np.testing.assert_allclose(loss, -np.log(p[label]), rtol=1e-12)
    slopes = inside[label] * (1 - np.eye(3)[label] / p)
    np.testing.assert_allclose(grad, slopes / SUMS[:, None], rtol=1e-12)
    targets = np.array([0.5, 0.125, 0.25])
    arguments = np.tile(targets, (SUMS.size, 1)), np.empty(0), 0.0, 1e-3
    _, loss, grad = run(kernels.probability_crossentropy_dense, x, *arguments)
    np.testing.assert_allclose(loss, -np.sum(targets * np.log(p)), rtol=1e-12)
    slopes = np.sum(targets * inside) - targets * inside / p
    np.testing.assert_allclose(grad, slopes / SUMS[:, None], rtol=1e-12)


@FLOATS
def test_an_infinite_sum_has_no_shares(kind):
    x = np.array([[np.inf, 1, 2], [1, 2, 5]], kind)
    _, loss, grad = run(kernels.probability_crossentropy_sparse, x, np.array([1, 1]), 1e-7)
    assert np.isnan(loss[0])
    assert np.isnan(grad[0]).all()
    assert np.isclose(loss[1], np.log(4))


@FLOATS
def test_divergence_at_its_closed_bounds(kind):
    eps = kind(0.125)
    x = np.array([[eps, 1, np.nextafter(eps, 0), np.nextafter(kind(1), 2), 0.5]], kind)
    t = np.array([[0.5, 0.25, 0.5, 0.25, 0.0]], kind)
    _, loss, grad = run(kernels.kullback_leibler, x, t, 0.125)
    u, p = np.clip(t, eps, 1), np.clip(x, eps, 1)
    np.testing.assert_allclose(loss, np.sum(u * np.log(u / p)), rtol=1e-6)
    np.testing.assert_allclose(grad, [[-4, -0.25, 0, 0, -0.25]])


@FLOATS
def test_rates_without_a_logarithm(kind):
    x = np.array([[-0.25], [-0.5], [0.75]], kind)
    _, loss, grad = run(kernels.poisson, x, np.ones_like(x), 0.25)
    np.testing.assert_array_equal(loss, np.array([np.inf, np.nan, 0.75], kind))
    np.testing.assert_array_equal(grad[:, 0], np.array([-np.inf, 5, 0], kind))


@FLOATS
def test_weights_of_smoothed_targets(kind):
    x, t = np.array([[0.5, -2.0, 3.0]], kind), np.array([[1.0, 0.0, 0.25]], kind)
    w = np.array([2.0, 0.5, 3.0], kind)
    _, loss, grad = run(kernels.binary_crossentropy_logits, x, t, w, 0.25)
    t = t * 0.75 + 0.125
    share = 1 / (1 + np.exp(-x))
    terms = w * t * np.log1p(np.exp(-x)) + (1 - t) * np.log1p(np.exp(x))
    np.testing.assert_allclose(loss, terms.mean(), rtol=1e-6)
    np.testing.assert_allclose(grad, ((1 - t) * share - w * t * (1 - share)) / 3, rtol=1e-5)


@FLOATS
def test_no_target_asks_nothing_of_a_hopeless_class(kind):
    x = np.array([[1.0, -np.inf, 0.0], [1.0, -np.inf, 0.0]], kind)
    t = np.array([[1.0, 0.0, -1.0], [0.5, 0.0, 0.5]], kind)
    _, loss, grad = run(kernels.softmax_crossentropy_dense, x, t, np.empty(0, kind), 0.0)
    p = np.array([np.e, 0.0, 1.0]) / (np.e + 1)
    np.testing.assert_allclose(loss, [-1, np.log1p(np.e) - 0.5], rtol=1e-6)
    np.testing.assert_allclose(grad, t.sum(axis=1, keepdims=True) * p - t, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("kernel", "numbers"),
    [
        (kernels.softmax_crossentropy_sparse, ()),
        (kernels.probability_crossentropy_sparse, (1e-7,)),
    ],
)
def test_kernels_with_labels_called_directly(kernel, numbers):
    x = np.array([[3.0, 1.0, 2.0], [2.0, 2.0, 4.0], [1.0, 2.0, 1.0], [1.0, 3.0, 4.0]])[:, :, None]
    labels = np.array([2, 0, 1, 2])
    expected = run(kernel, x[:, :, 0], labels, *numbers)
    for row in (None, 0, 1, 3):
        given = labels.copy()
        if row is not None:
            given[row] = 3
        loss, grad = np.full(4, 7.0), np.full_like(x, 7)
        bad = kernel(x, given, *numbers, ONE, ALL, loss, grad, 1)
        if row is None:
            assert bad == -1
            np.testing.assert_array_equal(loss, expected[1])
            np.testing.assert_array_equal(grad[:, :, 0], expected[2])
        else:
            assert bad == row
            assert (loss == 7).all()
            assert (grad == 7).all()
    none, keep = np.empty((2, 0, 1)), np.zeros(1, bool)
    assert kernels.run(kernel, none, labels[:2], *numbers, ONE, keep, np.empty(2), none) == -1


@plain
def test_only_labels_far_from_the_top_are_far():
    tiny = np.finfo(np.float64).tiny
    chosen = np.array([1.0, tiny, tiny / 2, 1e-310, 1e-300, 1e-300, np.nan])
    others = np.array([1.0, 1.0, 1.0, 1e-310, 1e30, 1e-300, 1.0])
    scaling = RowExponents(None, None, log_max=np.zeros(7), label_gap=np.full(7, 800.0))
    loss = np.full(7, 7.0)
    with np.errstate(over="ignore"):
        far_losses(ExpSums(chosen, others, others, None), scaling, 7, loss)
    far = [False, False, True, True, True, False, True]
    np.testing.assert_allclose(loss, np.where(far, 800 + np.log(others), 7), rtol=1e-12)


SCALES = [[1.0], [0.0, 0.25], [5e-324], [2.0**-60], [-(2.0**70)], [2.0**-70, 2.0**60], [2.0**-300]]


@njit
def _top_classes(row):
    return top_class(row), top_class_ahead(row, no_prefetch(row))


@FLOATS
def test_first_of_the_largest_logits(kind):
    """Also of a long row, piece by piece: largest in one, in two, no number, the same in all."""
    rng = np.random.default_rng(0)
    size = 3 * tuning.BLOCK + 5
    for at in (
        [0],
        [tuning.BLOCK],
        [tuning.BLOCK - 1, tuning.BLOCK],
        [2 * tuning.BLOCK + 7, 3 * tuning.BLOCK + 1],
        [size - 1],
    ):
        row = rng.uniform(-9, 9, size).astype(kind)
        for largest in (10.0, np.inf, np.nan):
            row[at] = largest
            assert _top_classes(row) == (at[0], at[0])
        assert _top_classes(np.full(size, -np.inf, kind)) == (0, 0)


@plain
@FLOATS
def test_logits_that_need_no_power(kind):
    m, most = (126, 51.0) if kind is np.float32 else (1022, 340.0)
    for classes, scale in itertools.product([1, 3, 64, 1000], SCALES):
        sizes = [1.0, *(abs(s) for s in scale if s)]
        c, least, largest = np.floor(np.log2([classes, min(sizes), max(sizes)])).astype(int)
        bound = np.log(2) * min(m - 2 - c + least, m - 1 - largest)
        found = small_magnitude(classes, np.array(scale), len(scale), np.empty(0, kind))
        assert found == bits(kind(min(most, bound))) if bound > 0 else found < 0
    for beyond in (np.inf, -np.inf, np.nan):
        assert small_magnitude(3, np.array([1.0, beyond]), 2, np.empty(0, kind)) < 0


@plain
@pytest.mark.parametrize(("kind", "exact"), [(np.float32, 2.0**16), (np.float64, 2.0**40)])
def test_only_coarse_logits_are_shifted(kind, exact):
    v = np.array([exact, 0, exact * 1.01, 5, -exact, -2 * exact, -1.5 * exact, -2 * exact], kind)
    scaling = RowExponents(np.empty(4, np.int64), np.empty(4), np.empty(4), np.empty(4))
    row_exponents(v, 4, np.array([1, 0, 1, 1]), scaling)
    np.testing.assert_array_equal(scaling.shift, [0, v[2], 0, v[6]])
    gaps = v[::2] - v[[1, 2, 5, 7]].astype(np.float64)
    np.testing.assert_array_equal(scaling.label_gap, gaps)


def test_as_many_short_rows_as_a_block_holds():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (256, 16)).astype(np.float32)
    labels = rng.integers(0, 16, 256)
    _, loss, grad = run(kernels.softmax_crossentropy_sparse, x, labels)
    e = np.exp(x.astype(np.float64))
    p = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(p[np.arange(256), labels]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grad, p - np.eye(16)[labels], rtol=1e-5, atol=1e-6)


@plain
def test_tiles_of_a_line_are_alike():
    for classes, length, rows in [(9, 63, 0), (9, 64, 64), (9, 513, 272), (9, 640, 320)]:
        x = np.empty((2, classes, length), np.float32)
        assert rows_per_tile(x, x) == rows_per_tile(x, None) == rows
    x = np.empty((1, 2**14, 640), np.float32)
    assert rows_per_tile(x, x) == 128
    assert rows_per_tile(x, None) == 320


slow = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="`test_small_blocks` has small pieces")


@FLOATS
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("classes", [5, pytest.param(5000, marks=slow)])
def test_an_infinite_term_makes_an_infinite_loss(kind, order, classes):
    """Also where it is one of thousands, whose sums keep what rounding took from them."""
    x, t = np.zeros((70, classes), kind), np.zeros((70, classes), kind)
    x[3, 1], x[4, 0], t[4, 0] = np.inf, -np.inf, 0.5
    none, loss = np.empty(0, kind), np.empty(70, kind)
    x, t = (np.asarray(a, order=order).reshape(70, classes, 1) for a in (x, t))
    kernels.run(kernels.binary_crossentropy_logits, x, t, none, 0.0, ONE, ALL, loss, None)
    assert np.isposinf(loss[3:5]).all()
    assert np.isfinite(loss[[2, 5]]).all()
    x[3] = 0
    kernels.run(kernels.softmax_crossentropy_dense, x, t, none, 0.0, ONE, ALL, loss, None)
    assert np.isposinf(loss[4])
    assert np.isfinite(loss[[2, 3, 5]]).all()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("classes", [5, pytest.param(5000, marks=slow)])
def test_an_infinite_target_is_felt_alike_among_few_and_many(order, classes):
    """t_sum p - t is inf but where the target is inf itself: that is inf - inf."""
    x, t = np.zeros((70, classes)), np.full((70, classes), 0.25)
    x[:, 1], t[3, 2], t[4, 1] = 1.0, np.inf, np.inf
    none, loss = np.empty(0), np.empty(70)
    x, t = (np.asarray(a, order=order).reshape(70, classes, 1) for a in (x, t))
    grad = np.empty_like(x)
    kernels.run(kernels.softmax_crossentropy_dense, x, t, none, 0.0, ONE, ALL, loss, grad)
    for row, infinite in ((3, 2), (4, 1)):
        assert np.isnan(grad[row, infinite, 0])
        assert np.isposinf(np.delete(grad[row, :, 0], infinite)).all()
    assert np.isfinite(grad[[2, 5]]).all()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("size", [1e158, 1e250, 1e300])
@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_enormous_targets_have_their_slopes_whatever_is_beside_them(order, size, spread):
    """Their products with exponentials are not finite: the true slopes, of at most `size`, are."""
    rng = np.random.default_rng(3)
    x, t = rng.uniform(-spread, spread, (70, 5)), rng.uniform(0, size / 5, (70, 5))
    apart = (x - x.max(axis=1, keepdims=True)).astype(np.longdouble)
    shares = np.exp(apart) / np.exp(apart).sum(axis=1, keepdims=True)
    right = t.astype(np.longdouble).sum(axis=1, keepdims=True) * shares - t
    none, loss, wild = np.empty(0), np.empty(70), x.copy()
    wild[7] = [1e4, -1e4, 0.0, 700.0, -1e5]
    gradients = []
    for logits in (x, wild):
        given, targets = (np.asarray(a, order=order).reshape(70, 5, 1) for a in (logits, t))
        grad = np.empty_like(given)
        kernel = kernels.softmax_crossentropy_dense
        kernels.run(kernel, given, targets, none, 0.0, ONE, ALL, loss, grad)
        gradients.append(np.delete(grad[..., 0], 7, axis=0))
    np.testing.assert_array_equal(*gradients)
    off = np.abs(gradients[0] - np.delete(right, 7, axis=0)).max()
    assert off <= 4 * np.spacing(size)


@pytest.mark.parametrize("order", "CF")
def test_the_slope_of_a_share_that_is_subnormal_has_all_its_digits(order):
    """The share of the others, e^-720 and twice that, is no normal number; times a scale it is."""
    x = np.zeros((70, 3))
    x[3], x[4] = [0.0, -720.0, -900.0], [-719.0, 1.0, -719.0]
    labels, scale = np.ones(70, int), np.full(70, 2.0**60)
    labels[3] = 0
    x = np.asarray(x, order=order).reshape(70, 3, 1)
    loss, grad = np.empty(70), np.empty_like(x)
    kernel = kernels.softmax_crossentropy_sparse
    kernels.run(kernel, x, labels, scale, ALL, loss, grad)
    expected = -np.exp(60 * np.log(2) - 720) * np.array([1.0, 2.0])
    np.testing.assert_allclose([grad[3, 0, 0], grad[4, 1, 0]], expected, rtol=1e-12)


@pytest.mark.parametrize("order", "CF")
def test_top_slopes_beyond_all_numbers_are_infinite(order):
    """What the product of a scale and a target lost is infinite too, and may have another sign."""
    rng = np.random.default_rng(4)
    x, t = rng.normal(0, 1, (70, 5)), rng.uniform(0, 1e60, (70, 5))
    top = x.argmax(axis=1)
    x, t = (np.asarray(a, order=order).reshape(70, 5, 1) for a in (x, t))
    loss, grad = np.empty(70), np.empty_like(x)
    arguments = (np.empty(0), 0.0, np.full(70, 1e300), ALL, loss, grad)
    kernels.run(kernels.softmax_crossentropy_dense, x, t, *arguments)
    assert np.isinf(grad[np.arange(70), top, 0]).all()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(("kind", "tiny"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_a_clipped_share_of_a_subnormal_sum_is_flat(kind, tiny, order):
    """The loss is -log eps and the gradient 0, as of any other row with these shares."""
    x = np.array([[tiny, 0, 0], [tiny / 2, tiny / 2, 0]] * 40, kind, order=order)
    labels, eps = np.full(80, 2), 1e-7
    t = np.eye(3, dtype=kind)[labels]
    none = np.empty(0, kind)
    for kernel, arguments in {
        kernels.probability_crossentropy_sparse: (labels, eps),
        kernels.probability_crossentropy_dense: (t, none, 0.0, eps),
        kernels.probability_crossentropy_smoothed: (labels, none, 0.0, eps),
    }.items():
        _, loss, grad = run(kernel, x, *arguments)
        np.testing.assert_allclose(loss, -np.log(kind(eps)), rtol=4 * np.finfo(kind).eps)
        assert not grad.any()
