"""Losses with a target for each class, of rows that lie side by side: the bits of other rows.

`test_same_bits` tries layouts through the facade; here are the shapes, options and places that make
tiles, plans and runs differ.
"""

import fastloss_kernels as fk
import numpy as np
import pytest
from columns import DTYPES, LAYOUTS, SHAPES, assert_same_bits, in_columns, rows_of
from fastloss_kernels import tuning

pytestmark = pytest.mark.usefixtures("one_thread")

EPS = 1e-7
LOSSES = {
    "dense_logits": (fk.softmax_crossentropy_dense, True, ()),
    "binary_logits": (fk.binary_crossentropy_logits, True, ()),
    "binary_probabilities": (fk.binary_crossentropy, True, (EPS,)),
    "poisson": (fk.poisson, False, (EPS,)),
    "kl_divergence": (fk.kullback_leibler, False, (EPS,)),
}
every_loss = pytest.mark.parametrize("name", LOSSES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
ONE, ALL = np.ones(1), np.ones(1, bool)


def problem(name, shape, dtype, seed=0):
    """Return (predictions, targets)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, shape) if name.endswith("logits") else rng.uniform(-0.1, 1.1, shape)
    return x.astype(dtype), rng.uniform(0, 1, shape).astype(dtype)


def call(name, x, t, *, grad=True, scale=ONE, keep=ALL, weight=(), smoothing=0.0):
    kernel, answers, numbers = LOSSES[name]
    loss = np.full(x.size // x.shape[1], 7, t.dtype)
    out = np.full(x.shape, 7, x.dtype) if grad is True else grad
    more = (np.array(weight, t.dtype), smoothing) if answers else ()
    fk.run(kernel, x, t, *more, *numbers, scale, keep, loss, out)
    return loss, out


def assert_as_rows(name, x, t, **more):
    """Check columns x against the same rows one behind the other; return (loss, gradient)."""
    assert in_columns(x)
    loss, grad = call(name, x, t, **more)
    expected, slopes = call(name, rows_of(x), rows_of(t), **more)
    assert_same_bits(loss, expected)
    assert_same_bits(rows_of(grad), slopes)
    return loss, grad


@every_loss
@every_dtype
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_have_the_bits_of_rows(name, shape, dtype):
    x, t = problem(name, shape, dtype)
    loss, grad = assert_as_rows(name, x, t)
    assert_same_bits(call(name, x, t, grad=None)[0], loss)
    inside = x.copy()
    assert_same_bits(call(name, inside, t, grad=inside)[0], loss)
    assert_same_bits(inside, grad)


@every_dtype
@pytest.mark.parametrize("classes", [1, 3, 21, 70])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["dense_logits", "binary_logits", "binary_probabilities"])
def test_weights_and_smoothing(name, smoothing, classes, dtype):
    x, t = problem(name, (2, classes, tuning.TILE_ROWS + 70), dtype)
    rng = np.random.default_rng(1)
    scale = rng.choice([1.0, -2.5, 1e-3, 0.0, 1e30, 2.0**-60], x.size // classes)
    weight = rng.uniform(0.5, 20, classes)
    for more in ({}, {"weight": weight}, {"weight": weight, "scale": scale}, {"scale": scale}):
        assert_as_rows(name, x, t, smoothing=smoothing, **more)


@every_loss
@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
def test_strides_do_not_matter(name, lay):
    x, t = problem(name, (2, 21, 130), np.float32)
    loss, grad = call(name, x, t)
    view, out = lay(x), lay(np.zeros_like(x))
    assert in_columns(view)
    for targets in (t, lay(t)):
        assert_same_bits(call(name, view, targets)[0], loss)
        assert_same_bits(call(name, view, targets, grad=out)[0], loss)
        assert_same_bits(np.ascontiguousarray(out), grad)
    assert_same_bits(call(name, view, t, grad=view)[0], loss)
    assert_same_bits(np.ascontiguousarray(view), grad)


@every_loss
def test_targets_may_lie_otherwise(name):
    x, t = problem(name, (2, 21, 130), np.float32)
    last = np.ascontiguousarray(np.moveaxis(t, 1, 2))
    for part, other in zip(call(name, x, t), call(name, x, np.moveaxis(last, 2, 1)), strict=True):
        assert_same_bits(part, other)
    one = np.broadcast_to(t[:, :1, :1], t.shape)
    for part, other in zip(call(name, x, one), call(name, x, one.copy()), strict=True):
        assert_same_bits(part, other)


@every_loss
def test_half_precision(name):
    x, t = problem(name, (2, 70, 100), np.float16)
    half, t = x.view(np.int16), t.astype(np.float32)
    loss, grad = assert_as_rows(name, half, t)
    assert_same_bits(loss, call(name, x.astype(np.float32), t)[0])
    assert_same_bits(call(name, half, t, grad=half)[0], loss)
    assert_same_bits(half, grad)


@every_loss
@every_dtype
def test_rows_left_out_and_scaled(name, dtype):
    x, t = problem(name, (2, 19, 300), dtype)
    rng = np.random.default_rng(1)
    keep, scale = rng.random(600) < 0.7, rng.choice([1.0, -2.5, 1e-3, 0.0], 600)
    loss, grad = assert_as_rows(name, x, t, scale=scale, keep=keep)
    assert not loss[~keep].any()
    assert not rows_of(grad)[~keep].any()
    wild = np.where(keep.reshape(2, 1, 300), x, np.nan)
    for part, other in zip(call(name, wild, t, scale=scale, keep=keep), (loss, grad), strict=True):
        assert_same_bits(part, other)


@every_loss
@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 3e38, 1e-40, -0.0])
def test_one_place_matters_only_to_itself(name, wild):
    x, t = problem(name, (2, 5, 600), np.float32)
    loss, grad = call(name, x, t)
    x[1, 2, 77] = wild
    other, turned = assert_as_rows(name, x, t)
    same = np.arange(1200) != 677
    assert_same_bits(other[same], loss[same])
    assert_same_bits(rows_of(turned)[same], rows_of(grad)[same])


@every_loss
def test_large_gradients_go_past_the_caches(name):
    classes = 21
    x, t = problem(name, (1, classes, tuning.STREAM // 4 // classes + 1001), np.float32)
    loss, grad = assert_as_rows(name, x, t)
    assert_same_bits(call(name, x, t, grad=x)[0], loss)
    assert_same_bits(x, grad)


@every_loss
def test_shares_may_begin_inside_a_line(name):
    x, t = problem(name, (3, 7, tuning.TILE_ROWS + tuning.TILE_ROWS_LEAST), np.float32)
    kernel, answers, numbers = LOSSES[name]
    more = (np.empty(0, np.float32), 0.0) if answers else ()
    expected, slopes = call(name, x, t)
    for threads in (2, 5):
        loss, grad = np.empty_like(expected), np.empty_like(x)
        kernel(x, t, *more, *numbers, ONE, ALL, loss, grad, threads)
        assert_same_bits(loss, expected)
        assert_same_bits(grad, slopes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [30.0, 1e3, 1e6])
def test_large_logits(spread, dtype):
    x, t = problem("dense_logits", (2, 21, 300), dtype)
    assert_as_rows("dense_logits", (x * spread).astype(dtype), t)


@every_dtype
@pytest.mark.parametrize("targets", [(np.inf, 0.5), (0.5, np.inf), "largest"])
def test_infinite_sums_of_targets(targets, dtype):
    x, t = problem("dense_logits", (1, 2, 64), dtype)
    t[0, :, 3] = np.finfo(dtype).max if targets == "largest" else targets
    loss, _ = assert_as_rows("dense_logits", x, t)
    assert not np.isfinite(loss[3])
    assert np.isfinite(loss[4])


@every_dtype
@pytest.mark.parametrize("classes", [3, 70])
def test_the_first_largest_logit(classes, dtype):
    """Of equal ones the first, and 0 is above -0; of targets so small that sums are taken again."""
    x, t = problem("dense_logits", (1, classes, 200), dtype)
    x[:] = np.sign(x) * 0.0
    x[0, 1:3, 50:90] = 2.5
    assert_as_rows("dense_logits", x, t)
    tiny = (t * np.finfo(dtype).tiny).astype(dtype)
    x[0, 2, 100:] = 1.5
    assert_as_rows("dense_logits", x, tiny)
