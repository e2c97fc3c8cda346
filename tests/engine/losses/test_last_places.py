"""Errors in last places at inputs where many roundings meet, as `make accuracy` found them."""

import numpy as np
import pytest
from fastloss_kernels import poisson
from fastloss_kernels.elementary.log import log1p
from numba import njit

import fastloss as fl

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
GOAL = 4


@njit(error_model="numpy")
def _log1p(x, out):
    for k in range(x.size):
        out[k] = log1p(x[k])


def ulps(computed, right, size=None):
    """Return the largest error in last places of `size`, or of the numbers themselves."""
    _, exponent = np.frexp(right if size is None else size)
    last = np.ldexp(np.longdouble(np.finfo(computed.dtype).epsneg), exponent)
    return float((np.abs(computed - right) / last).max())


@both_dtypes
def test_log1p_of_numbers_that_are_lost_beside_one(dtype):
    x = (-np.linspace(1, 2, 4001)[1:] * np.finfo(dtype).epsneg / 2).astype(dtype)
    out = np.empty_like(x)
    _log1p(x, out)
    z = np.longdouble(x)
    assert ulps(out, z - z * z / 2 + z * z * z / 3) <= 1


@both_dtypes
@pytest.mark.parametrize("classes", [20, 292, 20_000])
def test_losses_near_the_smallest_normal_number_are_not_sums_of_subnormal_ones(dtype, classes):
    rng = np.random.default_rng(classes)
    tiny = np.finfo(dtype).tiny
    x = rng.uniform(-1000, -800, (50, classes)).astype(dtype)
    x[:, 1] = 0  # the others are nothing beside it: the loss is the sum of t_c (x_k - x_c)
    t = (rng.random(x.shape) * tiny / (200 * classes)).astype(dtype)
    t[:, 1] = 2.0**-10
    right = (np.longdouble(t) * -np.longdouble(x)).sum(axis=1)
    assert ((right > tiny) & (right < 8 * tiny)).all()
    rows = fl.categorical_crossentropy(t, x, from_logits=True)
    assert ulps(rows, right) <= 1


@both_dtypes
@pytest.mark.parametrize("soft", [False, True])
def test_slopes_of_probabilities_round_five_times(dtype, soft):
    # a count of classes and quotients whose last places are as large as they can be
    rng = np.random.default_rng(0)
    x = rng.uniform(0.01, 0.99, (40_000, 33)).astype(dtype)
    x[::2] = 2.0 ** -rng.integers(1, 7, (20_000, 33)) * (1 + 1e-2 * rng.random((20_000, 33)))
    t = rng.random(x.shape).astype(dtype) if soft else rng.integers(0, 2, x.shape).astype(dtype)
    gradient = fl.value_and_grad(fl.binary_crossentropy)(t, x)[1]
    p = np.longdouble(x)
    assert ulps(gradient, (p - t) / (p * (1 - p)) / 33) <= GOAL


@both_dtypes
def test_slopes_of_rates_near_one_and_counts_below_a_half(dtype):
    rng = np.random.default_rng(1)
    x = (1 + 1e-3 * rng.random((4000, 292)) ** 4).astype(dtype)
    t = rng.uniform(0.3, 0.499, x.shape).astype(dtype)
    gradient = fl.value_and_grad(fl.poisson)(t, x)[1]
    z = np.longdouble(x) + np.longdouble(dtype(1e-7))
    assert ulps(gradient, (z - t) / z / 292) <= GOAL


@pytest.mark.parametrize("classes", [3, 2526])
def test_slopes_of_shares_of_a_sum_of_float64(classes):
    rng = np.random.default_rng(classes)
    x = np.exp2(rng.uniform(-20, 0, (2_000_000 // classes, classes)))
    t = rng.random(x.shape)
    gradient = fl.value_and_grad(fl.categorical_crossentropy)(t, x)[1]
    total = x.sum(axis=1, keepdims=True, dtype=np.longdouble)
    passed = t * (x / total >= 1e-7)
    mean, own = passed.sum(axis=1, keepdims=True, dtype=np.longdouble), passed * (total / x)
    assert ulps(gradient, (mean - own) / total, np.maximum(mean, own) / total) <= GOAL


@both_dtypes
@pytest.mark.parametrize("edge", [0, 1])
def test_smoothed_and_weighted_answers_near_certainty(dtype, edge):
    # u p - v (1 - p) of which neither term may be lost in p (u + v) - v
    rng = np.random.default_rng(2)
    x = np.abs(edge - 10 ** rng.uniform(-6, -0.5, (4000, 2))).astype(dtype)
    t = rng.choice([0, 1, 0.25], x.shape).astype(dtype)
    weight, smoothing = dtype([0.003, 7]), float(dtype(0.001))
    gradient = fl.value_and_grad(fl.binary_crossentropy)(
        t, x, label_smoothing=smoothing, pos_weight=weight
    )[1]
    p, s = np.longdouble(x), np.longdouble(smoothing)
    v, u = weight * (t * (1 - s) + s / 2) / p, ((1 - t) * (1 - s) + s / 2) / (1 - p)
    assert ulps(gradient, (u - v) / 2, (u + v) / 2) <= GOAL


@both_dtypes
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("smoothing", "weight"), [(0.1, 1), (0, 2.7), (0, 1.1), (0.1, 2.7)])
def test_changed_answers_are_rounded_once(dtype, soft, smoothing, weight):
    """Up to 5.5 last places: the targets were rounded three times, and so was the factor 1 / C."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-6, 6, (400, 2281)).astype(dtype)
    t = (rng.random(x.shape) if soft else rng.integers(0, 2, x.shape)).astype(dtype)
    options = {"from_logits": True, "label_smoothing": smoothing, "pos_weight": [dtype(weight)]}
    gradient = fl.value_and_grad(fl.binary_crossentropy)(t, x, **options)[1]
    s, e = np.longdouble(smoothing), np.exp(np.longdouble(x))
    v = dtype(weight) * (t * (1 - s) + s / 2) / (1 + e)
    u = ((1 - np.longdouble(t)) * (1 - s) + s / 2) * e / (1 + e)
    assert ulps(gradient, (u - v) / 2281, (u + v) / 2281) <= 3.6


def test_an_infinite_slope_is_infinite_whatever_it_is_multiplied_with():
    rates = np.array([[-(2.0**-20), 2.0, 2.0]])
    one, all_rows, loss, grad = np.ones(1), np.ones(1, bool), np.empty(1), np.empty((1, 3, 1))
    for factor in (1.0, 3.0, -1e300, 1e-310, -1e-315):
        poisson(
            rates.reshape(1, 3, 1), np.ones((1, 3, 1)), 2.0**-20, one * factor, all_rows, loss,
            grad, 1,
        )  # fmt: skip
        assert grad[0, 0, 0] == -np.inf * factor
        assert grad[0, 1, 0] == pytest.approx(factor / 6, rel=1e-6, abs=1e-323)


@pytest.mark.parametrize("smoothing", [1e-12, 3e-8, 1e-7])
def test_smoothing_of_a_last_place(smoothing):
    rng = np.random.default_rng(3)
    x = rng.uniform(-0.7, 0.7, (100_000, 3)).astype(np.float32)
    _, gradient = fl.value_and_grad(fl.binary_crossentropy)(
        np.ones_like(x), x, from_logits=True, label_smoothing=smoothing, pos_weight=1e-20,
        sample_weight=np.full(100_000, 7e16),
    )  # fmt: skip
    e = np.exp(np.longdouble(x))
    right = (smoothing / 2 * e - np.float32(1e-20) * (1 - np.longdouble(smoothing) / 2)) / (1 + e)
    assert ulps(gradient, right * 7e16 / 3) <= GOAL


@pytest.mark.parametrize("logits", [False, True])
def test_answers_times_a_weight_may_be_beyond_all_numbers(logits):
    # of float32, of which the gradients are some or not
    t = np.array([[1.0, 0.0, 0.25, 1.0]], np.float32)
    x = np.array([[0.25, 0.125, 0.5, 0.75]], np.float32) * (20 if logits else 1)
    z = np.exp(-np.float64(x))
    p = 1 / (1 + z) if logits else np.float64(x)
    for weight in (1e-36, 1e16, 1e39, -1e39, 1e60, 1e300, np.inf):
        for smoothing, positive in ((0.1, 1), (0, np.float32(2.7)), (0, np.float32(1e25))):
            v, u = positive * (t * (1 - smoothing) + smoothing / 2), 1 - smoothing / 2
            u -= t * (1 - smoothing)
            right = (u * p - v * (1 - p)) * (1 if logits else 1 / (p * (1 - p)))
            _, gradient = fl.value_and_grad(fl.binary_crossentropy)(
                t, x, from_logits=logits, label_smoothing=smoothing, pos_weight=positive,
                sample_weight=[weight],
            )  # fmt: skip
            with np.errstate(over="ignore"):
                right = np.float32(right * (weight / 4))
            np.testing.assert_allclose(gradient, right, rtol=2e-6, atol=2e-45)


@both_dtypes
@pytest.mark.parametrize("classes", [3, 40, 5000])
@pytest.mark.parametrize(
    "function", [fl.categorical_crossentropy, fl.sparse_categorical_crossentropy]
)
def test_large_scales_bring_back_probabilities_that_are_no_normal_numbers(dtype, classes, function):
    # e^-115 is below all float32, 1e15 times that is a normal one; so with e^-830 in float64
    scale, depth = (1e15, 115) if dtype is np.float32 else (1e58, 830)
    rng = np.random.default_rng(classes)
    x = (100 - depth * rng.uniform(0.9, 1, (4, classes))).astype(dtype)
    x[:, 1] = 100
    labels = np.ones(4, np.int64)
    t = labels if "sparse" in function.__name__ else np.eye(classes, dtype=dtype)[labels]
    upstream = np.full(4, scale)
    gradient = fl.value_and_grad(function)(t, x, from_logits=True, upstream=upstream)[1]
    e = np.exp(np.longdouble(x) - 100)
    e[:, 1] = 0
    right = scale * e / (1 + e.sum(axis=1, keepdims=True))
    right[:, 1] = -right.sum(axis=1)
    assert (np.abs(right) > np.finfo(dtype).tiny).all()
    assert ulps(gradient, right) <= GOAL


@pytest.mark.parametrize(("classes", "seed"), [(9, 4), (17, 5), (33, 5)])
def test_slope_of_the_largest_logit_for_soft_targets(classes, seed):
    """Its two products and its quotient had three of the roundings."""
    rng = np.random.default_rng(seed)
    rows = 100_000
    x = rng.normal(size=(rows, classes)) * np.exp2(rng.uniform(-10, 3, (rows, 1)))
    t = rng.dirichlet(np.ones(classes), rows)
    both = fl.value_and_grad(fl.categorical_crossentropy)
    grad = both(t, x, from_logits=True, upstream=np.ones(rows))[1]
    r, k = np.arange(rows), x.argmax(axis=1)
    e = np.exp(np.longdouble(x) - np.longdouble(x[r, k, None]))
    share = e[r, k] / e.sum(axis=1) * np.longdouble(t).sum(axis=1)
    size = np.maximum(share, t[r, k]).astype(np.float64)
    assert ulps(grad[r, k], share - t[r, k], size) <= GOAL


@pytest.mark.parametrize("seed", range(3))
def test_slope_of_the_labels_own_probability(seed):
    """-(others / p) (scale / total) had five roundings: up to 4.2 last places of float64."""
    rng = np.random.default_rng(seed)
    rows, classes = 100_000, 10
    p = rng.uniform(0, 1, (rows, classes)) * np.exp2(rng.uniform(-20, 20, (rows, 1)))
    labels, upstream = rng.integers(0, classes, rows), rng.uniform(1, 2, rows)
    both = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    grad = both(labels, p, upstream=upstream)[1]
    r, wide = np.arange(rows), np.longdouble(p)
    own = wide[r, labels]
    others = np.where(np.arange(classes) == labels[:, None], 0, wide).sum(axis=1)
    right = -others / own / (others + own) * upstream
    inside = own / (others + own) > 2e-7  # else it is clipped
    assert ulps(grad[r, labels][inside], right[inside]) <= 3


@both_dtypes
@pytest.mark.parametrize("from_logits", [False, True])
def test_an_enormous_factor_does_not_meet_the_answers(dtype, from_logits):
    """w t' times it may be beyond all floats where the slope is not."""
    x = dtype([[20.0, 0.0, 2.0]] if from_logits else [[0.75, 0.5, 0.25]])
    t, weight = dtype([[1.0, 0.0, 1.0]]), [dtype(2.5)]
    options = {"from_logits": from_logits, "label_smoothing": 0.125, "pos_weight": weight}
    call = fl.value_and_grad(fl.binary_crossentropy)
    most = float(np.finfo(dtype).max) / 4
    small = call(t, x, upstream=[1.0], **options)[1]
    large = call(t, x, upstream=[most], **options)[1]
    np.testing.assert_allclose(large, small * most, rtol=8 * np.finfo(dtype).eps)
    beyond = call(t, dtype([[0.75, 0.5, 0.25]]), upstream=[np.inf], **options)[1]
    np.testing.assert_array_equal(beyond, np.sign(beyond) * np.inf)


@both_dtypes
def test_the_weights_of_other_rows_change_no_bit(dtype):
    """Whether answers meet the factor before or after is for each row to say."""
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=(60, 7)).astype(dtype), rng.random((60, 7)).astype(dtype)
    weight = rng.choice([0.0, 1.0, -3.7, 1e-30, 1e30], 60)
    call = fl.value_and_grad(fl.binary_crossentropy)
    options = {"from_logits": True, "label_smoothing": 0.1, "pos_weight": [dtype(2.7)]}
    _, together = call(t, x, sample_weight=weight, **options)
    for r in range(60):
        _, alone = call(t[[r]], x[[r]], sample_weight=weight[[r]], **options)
        np.testing.assert_array_equal(together[[r]], alone)
