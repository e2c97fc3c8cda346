"""Dask arrays give what one machine gives, however they are chunked."""

import pickle

import dask
import numpy as np
import pytest
import xarray as xr

import fastloss as fl
from fastloss.out_of_core import evaluation, parts, row_statistics
from fastloss.out_of_core.evaluation import evaluate_in_blocks
from fastloss.out_of_core.row_statistics import RowStatistics

da = pytest.importorskip("dask.array", reason="the oldest environment is without Dask")
pytest.importorskip("distributed")
fd = pytest.importorskip("fastloss.dask")

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 5)).astype("f4")
Y = RNG.integers(0, 5, 60)
W = RNG.random(60)
M = RNG.random(60) < 0.8
SPARSE, BINARY = fl.SparseCategoricalCrossentropy, fl.BinaryCrossentropy
REDUCTIONS = ["sum", "mean", "mean_with_sample_weight"]
SHARES = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
BITS = (RNG.random((60, 5)) < 0.5).astype("f4")
CASES = {
    "labels": (SPARSE(from_logits=True, ignore_class=3), Y, X, W, M),
    "class weights": (SPARSE(from_logits=True, class_weight=np.arange(1.0, 6.0)), Y, X, W, M),
    "a label of rank 2": (SPARSE(from_logits=True), Y[:, None], X, None, None),
    "class axis first": (SPARSE(from_logits=True, axis=0), Y, X.T, None, M),
    "rows of two axes": (
        SPARSE(from_logits=True),
        Y.reshape(6, 10),
        X.reshape(6, 10, 5),
        W[:6],  # of samples
        M.reshape(6, 10),
    ),
    "a first axis of length 1": (SPARSE(from_logits=True), Y[None], X[None], None, None),
    "weights from the right": (  # a part with as many rows as weights would take them from the left
        SPARSE(from_logits=True),
        Y.reshape(6, 10),
        X.reshape(6, 10, 5),
        W[:10],
        None,
    ),
    "dense": (fl.CategoricalCrossentropy(), np.roll(SHARES, 1, 0), SHARES, None, M),
    "binary": (BINARY(from_logits=True, pos_weight=2.0), BITS, X, W, None),
    "weights of elements": (BINARY(from_logits=True), BITS, X, RNG.random((60, 5)), None),
    "binary, a column": (BINARY(from_logits=True, axis=()), BITS[:, 0], X[:, 0], W, M),
    "all axes": (BINARY(from_logits=True, axis=(0, 1)), BITS, X, None, None),
    "broadcast targets": (fl.Poisson(), BITS[:1], SHARES, None, None),
    "float64": (fl.KLDivergence(), SHARES.astype("f8"), np.roll(SHARES, 1, 0).astype("f8"), W, M),
    "dtype": (fl.Poisson(dtype="float32"), BITS, SHARES, None, None),
    "no rows": (SPARSE(from_logits=True), Y[:0], X[:0], None, None),
}


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    monkeypatch.setattr(evaluation, "BLOCK_ROWS", 12)
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def lazy(case, chunk):
    """Return the arguments with Dask arrays, y_pred in chunks of so many rows."""
    loss, y_true, y_pred, weight, mask = case
    axis = next(number for number, length in enumerate(y_pred.shape) if length in (0, 6, 60))
    chunk = max(1, chunk * y_pred.shape[axis] // 60)
    chunks = [chunk if number == axis else -1 for number in range(y_pred.ndim)]
    if loss.axis == (0, 1):
        chunks = -1
    others = [None if a is None else da.from_array(a, chunks=7) for a in (weight, mask)]
    targets = da.from_array(y_true, chunks=chunks if y_true.shape == y_pred.shape else -1)
    return loss, targets, da.from_array(y_pred, chunks=chunks), *others


def equal(summary, expected):
    """Hold two summaries to the same bits, but for scores and times."""
    assert summary.value == expected.value
    assert summary.counts == expected.counts
    assert (summary.shape, summary.dtype) == (expected.shape, expected.dtype)
    for name in ("count", "nan_rows", "minimum", "maximum", "exact"):
        assert getattr(summary.losses, name) == getattr(expected.losses, name)
    assert summary.losses.worst() == expected.losses.worst()
    np.testing.assert_array_equal(summary.losses.mean, expected.losses.mean)
    levels = (0.0, 0.5, 1.0)
    np.testing.assert_array_equal(
        summary.losses.quantiles(levels), expected.losses.quantiles(levels)
    )
    if expected.accuracy is None:
        assert summary.accuracy is None
    else:
        assert summary.accuracy == pytest.approx(expected.accuracy, rel=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_whole_blocks_give_the_bits_of_one_machine(name, reduction):
    loss, *arrays = CASES[name]
    loss = type(loss)(**{**loss.get_config(), "reduction": reduction})
    case = (loss, *arrays)
    expected = evaluate_in_blocks(*case, block_rows=6, worst=4)
    for chunk in (6, 12, 60):
        given = lazy(case, chunk)
        equal(fd.evaluate(*given, worst=4, block_rows=6).compute(), expected)
        found = fd.value(*given, block_rows=6).compute()
        assert found == expected.value
        assert type(found) is (np.float32 if name == "dtype" else np.float64)


@pytest.mark.parametrize("name", CASES)
def test_other_chunks_differ_by_an_ulp_at_most(name):
    case = CASES[name]
    expected = evaluate_in_blocks(*case).value
    for chunk in (1, 7, 41):
        found = fd.value(*lazy(case, chunk)).compute()
        np.testing.assert_array_max_ulp(found, type(found)(expected), 1)


@pytest.mark.parametrize("name", CASES)
def test_rows_and_gradient_are_those_of_a_call(name):
    loss, *arrays = CASES[name]
    value, grad = loss.value_and_grad(*arrays)
    unreduced = type(loss)(**{**loss.get_config(), "reduction": None})
    losses = unreduced(*arrays)
    for chunk in (6, 7, 60):
        given = lazy(CASES[name], chunk)
        rows = fd.rows(*given)
        assert (rows.shape, rows.dtype) == (losses.shape, losses.dtype)
        np.testing.assert_array_equal(rows.compute(), losses)
        lazy_value, lazy_grad = fd.value_and_grad(*given)
        assert (lazy_grad.chunks, lazy_grad.dtype) == (given[2].chunks, grad.dtype)
        found = dask.compute(lazy_value, lazy_grad)
        np.testing.assert_allclose(found[0], value, rtol=1e-15 if value.dtype == "f8" else 1e-7)
        np.testing.assert_allclose(found[1], grad, rtol=1e-6, atol=1e-12)


def test_groups_and_scores_are_those_of_one_machine():
    keys = np.array(list("abcd"))[RNG.integers(0, 4, 60)]
    loss, *arrays = CASES["labels"]
    options = evaluation.ScoreOptions((1, 3), 4, True)
    expected = evaluate_in_blocks(loss, *arrays, groups=keys, options=options)
    given = lazy(CASES["labels"], 7)
    found = fd.evaluate(
        *given, groups=da.from_array(keys, chunks=9), top=(3, 1), bins=4, brier=True
    ).compute()
    for name in ("weight", "correct", "top", "brier", "bins"):
        np.testing.assert_allclose(
            getattr(found.scores, name), getattr(expected.scores, name), rtol=1e-13
        )
    columns, wanted = found.groups.columns(None, True), expected.groups.columns(None, True)
    assert columns["group"].tolist() == wanted["group"].tolist()
    for name in ("loss", "count", "weight_sum", "perplexity", "accuracy"):
        np.testing.assert_allclose(columns[name], wanted[name], rtol=1e-13)


def test_chunks_along_the_classes_are_joined_with_a_warning():
    loss = SPARSE(from_logits=True)
    split = da.from_array(X, chunks=(20, 2))
    with pytest.warns(UserWarning, match=r"y_pred is rechunked.* 1,200 bytes .* 3 x 3 .* 3 x 1"):
        _, grad = fd.value_and_grad(loss, Y, split)
    assert grad.chunks == split.chunks
    expected = loss.value_and_grad(Y, X)
    np.testing.assert_array_equal(grad.compute(), expected[1])
    dense = fl.CategoricalCrossentropy()
    whole = da.from_array(SHARES, chunks=(20, 5))
    with pytest.warns(UserWarning, match="y_true is rechunked"):
        fd.value(dense, whole.rechunk((30, 5)), whole)


@pytest.mark.parametrize("function", [fd.evaluate, fd.value, fd.rows], ids=lambda f: f.__name__)
def test_a_label_that_is_no_class_is_named_with_its_chunk(function):
    labels = np.where(np.arange(60) == 47, 9, Y)
    with pytest.raises(
        ValueError, match=r"got 9 at row 47; in (chunk 2 of y_pred, rows 40 to 59|rows 0 to 59)$"
    ):
        function(SPARSE(), labels, da.from_array(SHARES, chunks=(20, 5))).compute()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "loss must be an instance", lambda x: fd.value(fl.poisson, x, x)),
        (ValueError, r"rows\(\) gives", lambda x: fd.value(fl.Poisson(reduction=None), x, x)),
        (
            ValueError,
            "y_pred must have chunks of known",
            lambda x: fd.rows(fl.Poisson(), x, x[x > 0]),
        ),
        (ValueError, "block_rows must be", lambda x: fd.value(fl.Poisson(), x, x, block_rows=0)),
        (ValueError, "shape", lambda x: fd.value(fl.Poisson(), x, x[:, :2])),
        (ValueError, "groups must have", lambda x: fd.evaluate(fl.Poisson(), x, x, groups=Y[:3])),
        (TypeError, "got a Delayed", lambda x: fd.value(fl.Poisson(), x, dask.delayed(1))),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(error, message, call):
    with pytest.raises(error, match=message):
        call(da.from_array(SHARES, chunks=(20, 5)))


def test_nothing_is_computed_before_it_is_asked_for():
    def fail(block):
        raise AssertionError("computed")

    x = da.from_array(SHARES, chunks=(20, 5)).map_blocks(fail, dtype="f4", meta=SHARES[:0])
    fd.evaluate(fl.Poisson(), x, x)
    fd.value_and_grad(fl.Poisson(), x, x)


def test_what_arrays_have_in_common_is_computed_once():
    made = []

    def make(block):
        made.append(len(block))
        return block

    x = da.from_array(X, chunks=(20, 5)).map_blocks(make, dtype="f4", meta=X[:0])
    labels, loss = x.argmax(axis=1), SPARSE(from_logits=True)
    for lazy_results in (
        [fd.evaluate(loss, labels, x)],
        [fd.value(loss, labels, x)],
        fd.value_and_grad(loss, labels, x),
    ):
        made.clear()
        dask.compute(*lazy_results)
        assert made == [20] * 3


def test_value_and_gradient_come_from_one_pass(monkeypatch):
    calls = []
    gradient = parts.Task.gradient
    monkeypatch.setattr(
        parts.Task, "gradient", lambda *given: calls.append(given[2]) or gradient(*given)
    )
    x = da.from_array(X, chunks=(20, 5))
    dask.compute(*fd.value_and_grad(SPARSE(from_logits=True), Y, x))
    assert len(calls) == 3


def test_xarray_of_dask():
    x = xr.DataArray(da.from_array(X, chunks=(20, 5)))
    loss = SPARSE(from_logits=True)
    assert fd.value(loss, Y, x).compute() == pytest.approx(loss(Y, X), rel=1e-15)


@pytest.mark.parametrize("bound", [10, 10_000])
def test_statistics_of_parts_add_up(monkeypatch, bound):
    monkeypatch.setattr(row_statistics, "EXACT_ROWS", bound)
    losses = RNG.exponential(size=300).astype("f4").round(1)  # equal ones
    losses[[7, 250]] = np.nan, np.inf
    numbers = np.arange(300)
    whole = RowStatistics(9)
    whole.add(numbers, losses)
    parts = []
    for part in np.array_split(numbers, 7):
        one = RowStatistics(9)
        one.add(part, losses[part])
        parts.append(pickle.loads(pickle.dumps(one)))
    both = sum(parts[1:], parts[0])
    levels = (0.0, 0.1, 0.5, 0.9, 1.0)
    assert both.quantiles(levels) == whole.quantiles(levels)
    assert str(both.worst()) == str(whole.worst())  # NaN is not equal to itself
    assert (both.count, both.nan_rows, both.exact) == (299, 1, bound > 300)
    assert pickle.loads(pickle.dumps(both)).quantiles(levels) == whole.quantiles(levels)
    assert sum(one.count for one in parts) == 299  # they stay as they are
