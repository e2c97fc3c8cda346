"""Ranks of labels, top classes and Brier scores of rows, held against NumPy and the formulas."""

import fastloss_kernels as fk
import numpy as np
import pytest

SHAPES = [(0, 3), (1, 1), (5, 1), (7, 2), (40, 33), (3, 1000), (2, 70_001)]


def ranked(x, labels, limit=1 << 30):
    """Return what `label_ranks` makes of rows."""
    rank = np.full(len(x), -7)
    largest, own = np.full(len(x), 7, x.dtype), np.full(len(x), 7, x.dtype)
    fk.label_ranks(x, labels, limit, rank, largest, own)
    return rank, largest, own


def by_sorting(x, labels):
    """Return the place of each label in a stable sort of its row, the largest first."""
    order = np.argsort(-x, axis=1, kind="stable")
    return (order == labels[:, np.newaxis]).argmax(axis=1) if x.size else np.empty(0, int)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_of_any_shape(shape, dtype):
    rng = np.random.default_rng(shape[1])
    # Few different values, so that there are ties before and behind the label.
    x = rng.integers(-3, 4, shape).astype(dtype) + rng.choice([0.0, 0.5], shape).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0])
    rank, largest, own = ranked(x, labels)
    np.testing.assert_array_equal(rank, by_sorting(x, labels))
    np.testing.assert_array_equal(largest, x.max(axis=1))
    np.testing.assert_array_equal(own, x[np.arange(len(x)), labels])
    top = np.full(len(x), -7)
    fk.top_classes(x + x.dtype.type(0), top)  # +0: no -0
    np.testing.assert_array_equal(top, x.argmax(axis=1))
    np.testing.assert_array_equal(rank == 0, labels == top)
    for limit in (1, 2, 5):
        np.testing.assert_array_equal(ranked(x, labels, limit)[0], np.minimum(rank, limit))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype):
    inf, nan = np.inf, np.nan
    rows = [
        ([inf, 1, inf], 2, 1),  # a tie of infinities: the first one comes first
        ([-inf, -inf, -inf], 0, 0),
        ([-0.0, 0.0, -1], 1, 1),  # zeros are equal
        ([nan, 5, 1], 1, 1),  # NaN comes first
        ([5, 1, nan], 0, 1),
        ([nan, nan, 1], 1, 9),  # and is never among the top
        ([1, 2, 3], 3, 9),  # no class
        ([1, 2, 3], -1, 9),
    ]
    x = np.array([row for row, _, _ in rows], dtype)
    labels = np.array([label for _, label, _ in rows])
    rank, _, own = ranked(x, labels, 9)
    assert rank.tolist() == [expected for _, _, expected in rows]
    assert np.isnan(own[5:]).all()
    assert ranked(x, labels, 1)[0].tolist() == [min(expected, 1) for _, _, expected in rows]
    top = np.empty(len(x), np.int64)
    fk.top_classes(x[[0, 1, 3, 5]], top[:4])
    assert top[:4].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_brier_scores(shape, dtype):
    rng = np.random.default_rng(shape[0])
    p = rng.exponential(size=shape).astype(dtype)  # not normalized
    labels = rng.integers(0, shape[1], shape[0])
    scores = np.empty(shape[0])
    fk.brier_scores(p, labels, scores)
    q = p.astype(np.float64) / p.astype(np.float64).sum(axis=1, keepdims=True)
    q[np.arange(len(q)), labels] -= 1
    np.testing.assert_allclose(scores, (q**2).sum(axis=1), rtol=1e-12, atol=1e-14)


def test_a_label_that_is_no_class_has_no_score():
    scores = np.empty(2)
    fk.brier_scores(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([2, -1]), scores)
    assert np.isnan(scores).all()
