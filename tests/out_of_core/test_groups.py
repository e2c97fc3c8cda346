"""Losses by group, held against a call with the rows of each group alone."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.out_of_core.evaluation import evaluate_in_blocks

RNG = np.random.default_rng(32)
ROWS = 90
LOGITS = RNG.normal(size=(ROWS, 5))
LABELS = RNG.integers(0, 5, ROWS)
WEIGHTS = RNG.random(ROWS)
MASK = RNG.random(ROWS) < 0.8
KEYS = {
    "integers": RNG.integers(-3, 9, ROWS),
    "strings": RNG.choice(["a", "bb", "ä", ""], ROWS),
    "one each": np.arange(ROWS),
}


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", "mean_with_sample_weight"])
@pytest.mark.parametrize("kind", KEYS)
def test_each_group_is_a_call_of_its_rows(kind, reduction):
    keys = KEYS[kind]
    loss = fl.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction, ignore_class=1)
    summary = evaluate_in_blocks(loss, LABELS, LOGITS, WEIGHTS, MASK, groups=keys, block_rows=7)
    columns = summary.groups.columns(reduction, True)
    assert list(columns) == ["group", "loss", "count", "weight_sum", "perplexity", "accuracy"]
    counts = MASK & (LABELS != 1)
    assert sorted(columns["group"].tolist()) == sorted(set(keys[counts].tolist()))
    assert (np.diff(columns["loss"]) <= 0).all()
    mean = fl.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight", ignore_class=1
    )
    for key, value, count, weight, perplexity, accuracy in zip(*columns.values(), strict=True):
        rows = keys == key
        given = (LABELS[rows], LOGITS[rows], WEIGHTS[rows], MASK[rows])
        assert value == pytest.approx(loss(*given), rel=1e-12)
        assert perplexity == pytest.approx(np.exp(mean(*given)), rel=1e-12)
        rows &= counts
        assert count == rows.sum()
        assert weight == pytest.approx(WEIGHTS[rows].sum(), rel=1e-12)
        correct = LOGITS[rows].argmax(1) == LABELS[rows]
        assert accuracy == pytest.approx(np.average(correct, weights=WEIGHTS[rows]), rel=1e-12)


def test_a_key_for_each_document():
    """Rows may have losses in further axes: tokens of a document."""
    x, y = LOGITS.reshape(9, 10, 5), LABELS.reshape(9, 10)
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    summary = evaluate_in_blocks(loss, y, x, groups=np.arange(9) // 3, block_rows=4)
    columns = summary.groups.columns("sum_over_batch_size", True)
    for key, value in zip(columns["group"], columns["loss"], strict=True):
        rows = slice(3 * key, 3 * key + 3)
        assert value == pytest.approx(loss(y[rows], x[rows]), rel=1e-12)


def test_many_groups_and_digits():
    """A hundred thousand groups; sums of many blocks lose nothing that shows."""
    rows = 200_000
    p = np.full((rows, 1), 0.5, np.float32)
    keys = np.arange(rows) % 100_000
    summary = evaluate_in_blocks(fl.BinaryCrossentropy(), np.ones((rows, 1)), p, groups=keys)
    columns = summary.groups.columns("sum", False)
    assert len(columns["group"]) == 100_000
    np.testing.assert_array_equal(columns["count"], 2)
    np.testing.assert_array_equal(columns["group"], np.arange(100_000))  # equal losses: by key
    assert np.isnan(columns["perplexity"]).all()


def test_infinite_and_nan_losses():
    x = np.array([[-np.inf, 0], [0, 0], [np.nan, 0], [0, 0]])
    loss = fl.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    summary = evaluate_in_blocks(
        loss, np.zeros(4, int), x, groups=np.array([1, 1, 2, 3]), block_rows=1
    )
    columns = summary.groups.columns("sum", True)
    assert columns["group"].tolist() == [2, 1, 3]
    np.testing.assert_array_equal(columns["loss"][:2], [np.nan, np.inf])
    assert columns["perplexity"][1] == np.inf


@pytest.mark.parametrize("shape", [(), (ROWS - 1,), (ROWS, 5)], ids=str)
def test_keys_that_do_not_fit(shape):
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match=r"groups must have the shape \(90,\), got"):
        evaluate_in_blocks(loss, LABELS, LOGITS, groups=np.zeros(shape, int))
