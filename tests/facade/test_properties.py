"""What must hold for all inputs: symmetries, and the same bits however the numbers are laid out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastloss as fl
from benchmarks.cases import ALL_CASES as CASES

some = settings(deadline=None, max_examples=20, derandomize=True)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
sizes = {
    "rows": st.integers(1, 9),
    "classes": st.integers(1, 40),
    "seed": st.integers(0, 2**32 - 1),
    "dtype": st.sampled_from([np.float32, np.float64]),
}
SPARSE = [case for case in CASES if case.sparse]


def ask(case, y_true, y_pred, **more):
    return fl.value_and_grad(case.function)(y_true, y_pred, **case.options, **more)


def assert_same_bits(first, second):
    for a, b in zip(first, second, strict=True):
        assert np.shape(a) == np.shape(b)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def assert_near(first, second, dtype):
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@some
@given(
    x=hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 12)),
                 elements=st.integers(-30_000, 30_000)),
    shift=st.integers(-1000, 1000),
    data=st.data(),
)  # fmt: skip
def test_logits_may_be_shifted(x, shift, data):
    x = x / 1024  # every sum below is exact
    labels = data.draw(hnp.arrays(np.int64, len(x), elements=st.integers(0, x.shape[1] - 1)))
    ask = fl.value_and_grad(fl.sparse_categorical_crossentropy)
    moved = ask(labels, x + shift, from_logits=True)
    for a, b in zip(moved, ask(labels, x, from_logits=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-300)


@every_case
@some
@given(**sizes)
def test_rows_may_be_reordered(case, rows, classes, seed, dtype):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    order = np.random.default_rng(seed).permutation(rows)
    whole = ask(case, y_true, y_pred)
    assert_same_bits(ask(case, y_true[order], y_pred[order]), [part[order] for part in whole])


@every_case
@some
@given(**sizes, cut=st.integers(0, 9))
def test_a_batch_may_be_cut_into_chunks(case, rows, classes, seed, dtype, cut):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    whole = ask(case, y_true, y_pred)
    parts = [ask(case, y_true[s], y_pred[s]) for s in (slice(0, cut), slice(cut, None))]
    assert_same_bits([np.concatenate(part) for part in zip(*parts, strict=True)], whole)


@every_case
@pytest.mark.parametrize("shape", [(3000, 40), (40, 3000), (3, 40_000)])
def test_a_large_batch_may_be_cut_too(case, shape):
    y_true, y_pred = case.data(*shape)
    whole = ask(case, y_true, y_pred)
    cut = shape[0] // 3
    parts = [ask(case, y_true[s], y_pred[s]) for s in (slice(0, cut), slice(cut, None))]
    assert_same_bits([np.concatenate(part) for part in zip(*parts, strict=True)], whole)


@every_case
@some
@given(**sizes, data=st.data())
def test_a_whole_weight_is_a_repetition(case, rows, classes, seed, dtype, data):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    times = np.array(data.draw(st.lists(st.integers(1, 4), min_size=rows, max_size=rows)))
    reduction = data.draw(st.sampled_from(["sum", "mean_with_sample_weight"]))
    value, gradient = ask(case, y_true, y_pred, sample_weight=times, reduction=reduction)
    again = ask(case, np.repeat(y_true, times, 0), np.repeat(y_pred, times, 0), reduction=reduction)
    first = np.cumsum(times) - times
    assert_near((value, gradient), (again[0], np.add.reduceat(again[1], first)), dtype)


@every_case
@some
@given(**sizes, data=st.data())
def test_a_masked_row_is_a_removed_row(case, rows, classes, seed, dtype, data):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    reduction = data.draw(st.sampled_from(["sum", "mean", "mean_with_sample_weight"]))
    weight = np.linspace(0.5, 1.5, rows)
    wild = y_pred.copy()
    wild[~mask] = np.nan
    value, gradient = ask(case, y_true, wild, mask=mask, sample_weight=weight, reduction=reduction)
    left = ask(case, y_true[mask], y_pred[mask], sample_weight=weight[mask], reduction=reduction)
    assert_near((value, gradient[mask]), left, dtype)
    assert (gradient[~mask] == 0).all()


@pytest.mark.parametrize("case", SPARSE, ids=lambda case: case.name)
@some
@given(**sizes, ignored=st.sampled_from([-1, 0, 255]), data=st.data())
def test_an_ignored_row_is_a_removed_row(case, rows, classes, seed, dtype, ignored, data):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    out = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    y_true[out] = ignored
    kept = y_true != ignored
    wild = y_pred.copy()
    wild[~kept] = np.inf
    value, gradient = ask(case, y_true, wild, ignore_class=ignored, reduction="mean")
    assert_near((value, gradient[kept]), ask(case, y_true[kept], y_pred[kept], reduction="mean"),
                dtype)  # fmt: skip
    assert (gradient[~kept] == 0).all()


@every_case
@some
@given(**sizes)
def test_the_gradient_is_linear_in_upstream(case, rows, classes, seed, dtype):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    u, v = np.random.default_rng(seed).normal(size=(2, rows))
    by_u, by_v, by_both = (
        ask(case, y_true, y_pred, upstream=upstream)[1] for upstream in (u, v, 2 * u - 3 * v)
    )
    scale = np.abs(by_u).max() + np.abs(by_v).max() + 1
    tolerance = scale * (1e-5 if dtype == np.float32 else 1e-13)
    np.testing.assert_allclose(by_both, 2 * by_u - 3 * by_v, rtol=0, atol=tolerance)
    ones = ask(case, y_true, y_pred, upstream=np.ones(rows))
    assert_same_bits(ones, ask(case, y_true, y_pred))


WITH_AXIS = [case for case in CASES if case.name not in ("poisson", "kl_divergence")]


@pytest.mark.parametrize("case", WITH_AXIS, ids=lambda case: case.name)
@some
@given(**sizes, width=st.integers(1, 5), axis=st.integers(-3, 2))
def test_any_axis_is_the_last_axis_moved(case, rows, classes, seed, dtype, width, axis):
    y_true, y_pred = case.data(rows * width, classes, dtype, seed)
    y_pred = y_pred.reshape(rows, width, classes)
    y_true = y_true.reshape(y_pred.shape[: 2 if case.sparse else 3])
    last = ask(case, y_true, y_pred)
    moved_true = y_true if case.sparse else np.ascontiguousarray(np.moveaxis(y_true, -1, axis))
    moved_pred = np.ascontiguousarray(np.moveaxis(y_pred, -1, axis))
    value, gradient = ask(case, moved_true, moved_pred, axis=axis)
    assert_same_bits((value, np.moveaxis(gradient, axis, -1)), last)


def strided(a):
    """Return the same numbers in every other place of a larger array."""
    larger = np.full([2 * n for n in a.shape], 9, a.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "strided": strided,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "Fortran order": lambda a: np.array(a, order="F"),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
@some
@given(**sizes)
def test_the_layout_of_the_inputs_does_not_matter(case, layout, rows, classes, seed, dtype):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    weight = np.random.default_rng(seed).random(rows)
    plain = ask(case, y_true, y_pred, sample_weight=weight)
    lay = LAYOUTS[layout]
    laid_out = lay(y_true), lay(y_pred)
    assert_same_bits(ask(case, *laid_out, sample_weight=lay(weight)), plain)
    np.testing.assert_array_equal(laid_out[0], y_true)
    np.testing.assert_array_equal(laid_out[1], y_pred)


@every_case
@some
@given(**sizes, data=st.data())
def test_nan_in_one_row_stays_in_that_row(case, rows, classes, seed, dtype, data):
    y_true, y_pred = case.data(rows, classes, dtype, seed)
    row = data.draw(st.integers(0, rows - 1))
    wild = y_pred.copy()
    wild[row, data.draw(st.integers(0, classes - 1))] = np.nan
    value, gradient = ask(case, y_true, wild)
    assert np.isnan(value[row])
    assert np.isnan(gradient[row]).any()
    others = np.arange(rows) != row
    assert_same_bits((value[others], gradient[others]),
                     [part[others] for part in ask(case, y_true, y_pred)])  # fmt: skip


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("nan", [np.nan, np.copysign(np.nan, -1)], ids=["nan", "-nan"])
@pytest.mark.parametrize("classes", [3, 200])
def test_a_nan_of_either_sign_makes_its_row_nan_and_no_other(case, dtype, order, nan, classes):
    y_true, y_pred = case.data(70, classes, dtype)
    if not case.sparse:
        y_true[:, 1] = 0  # a target that takes no part
    both = fl.value_and_grad(case.function)
    expected, _ = both(y_true, y_pred, **case.options)
    spoilt = np.array(y_pred, order=order)
    spoilt[7, 1] = nan
    value, grad = both(y_true, spoilt, **case.options)
    assert np.isnan(value[7])
    assert np.isnan(grad[7, 1])
    others = np.arange(70) != 7
    np.testing.assert_array_equal(value[others], expected[others])
    assert not np.isnan(grad[others]).any()
