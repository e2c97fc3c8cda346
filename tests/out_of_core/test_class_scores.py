"""Accuracy, top-k, calibration and Brier score, held against scikit-learn and the definitions."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import accuracy_score, brier_score_loss, top_k_accuracy_score

import fastloss as fl
from fastloss.out_of_core.class_scores import ScoreOptions
from fastloss.out_of_core.evaluation import evaluate_in_blocks

RNG = np.random.default_rng(31)
ROWS, CLASSES = 200, 7
LOGITS = 2 * RNG.normal(size=(ROWS, CLASSES))
LABELS = RNG.integers(0, CLASSES, ROWS)
WEIGHTS = RNG.random(ROWS)
MASK = RNG.random(ROWS) < 0.8
ALL = ScoreOptions((1, 3), bins=10, brier=True)


def scores(loss, y_true, y_pred, *, weight=None, mask=None, options=ALL, block_rows=17):
    return evaluate_in_blocks(
        loss, y_true, y_pred, weight, mask, options=options, block_rows=block_rows
    ).scores


def expected_calibration_error(confidence, outcome, weight, bins):
    """Return the definition's sum over bins of |mean outcome - mean confidence|, by weight."""
    numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = 0.0
    for number in range(bins):
        inside = numbers == number
        gaps += abs(np.sum(weight[inside] * (outcome[inside] - confidence[inside])))
    return gaps / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["logits", "probabilities", "one-hot", "one-hot logits", "moved"])
def test_classes(form, weighted):
    p = softmax(LOGITS, axis=1)
    y_pred = LOGITS if "logits" in form else p
    loss = fl.SparseCategoricalCrossentropy(from_logits="logits" in form)
    y_true = LABELS
    if form.startswith("one-hot"):
        loss = fl.CategoricalCrossentropy(from_logits="logits" in form)
        y_true = np.eye(CLASSES)[LABELS]
    if form == "moved":  # the class axis comes first
        loss, y_pred = fl.SparseCategoricalCrossentropy(axis=0), np.ascontiguousarray(p.T)
    weight, mask, kept = None, None, np.ones(ROWS, bool)
    if weighted:
        weight, mask, kept = WEIGHTS, MASK, MASK
    w = WEIGHTS[kept] if weighted else np.ones(ROWS)
    found = scores(loss, y_true, y_pred, weight=weight, mask=mask)
    labels, p = LABELS[kept], p[kept]
    right = accuracy_score(labels, p.argmax(1), sample_weight=w)
    assert found.share(found.correct) == pytest.approx(right, rel=1e-12)
    for k, total in zip(ALL.top, found.top, strict=True):
        top = top_k_accuracy_score(labels, p, k=k, sample_weight=w, labels=range(CLASSES))
        assert found.share(total) == pytest.approx(top, rel=1e-12)
    brier = brier_score_loss(labels, p, sample_weight=w, labels=range(CLASSES), scale_by_half=False)
    assert found.share(found.brier) == pytest.approx(brier, rel=1e-9)
    error = expected_calibration_error(p.max(1), p.argmax(1) == labels, w, ALL.bins)
    assert found.calibration_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("from_logits", [False, True])
def test_binary(from_logits):
    x, y = LOGITS[:, 0], (LABELS > 3).astype(float)
    p = expit(x)
    loss = fl.BinaryCrossentropy(from_logits=from_logits, axis=())
    found = scores(loss, y, x if from_logits else p, weight=WEIGHTS, mask=MASK)
    kept, w = MASK, WEIGHTS[MASK]
    right = accuracy_score(y[kept], p[kept] > 0.5, sample_weight=w)
    assert found.share(found.correct) == pytest.approx(right, rel=1e-12)
    brier = brier_score_loss(y[kept], p[kept], sample_weight=w)
    assert found.share(found.brier) == pytest.approx(brier, rel=1e-9)
    error = expected_calibration_error(p[kept], y[kept], w, ALL.bins)
    assert found.calibration_error == pytest.approx(error, rel=1e-9)


def test_rows_of_several_elements_count_once():
    """Unknown labels are masked by element; without a mask a row is the mean of its elements."""
    x, y = LOGITS, (LOGITS + RNG.normal(size=LOGITS.shape) > 0).astype(float)
    whole = scores(fl.BinaryCrossentropy(from_logits=True), y, x)
    assert whole.weight == ROWS
    assert whole.share(whole.correct) == pytest.approx(np.mean((x > 0) == y), rel=1e-12)
    known = RNG.random(x.shape) < 0.7
    some = scores(fl.BinaryCrossentropy(from_logits=True), y, x, mask=known, block_rows=50)
    assert some.weight == known.sum()
    assert some.share(some.correct) == pytest.approx(np.mean(((x > 0) == y)[known]), rel=1e-12)


def test_blocks_do_not_show():
    one, other = (
        scores(fl.SparseCategoricalCrossentropy(from_logits=True), LABELS, LOGITS, block_rows=size)
        for size in (3, 1000)
    )
    assert one.correct == other.correct
    np.testing.assert_array_equal(one.top, other.top)
    np.testing.assert_allclose(one.bins, other.bins, rtol=1e-12)


def test_infinite_logits_and_nan():
    """A loss of infinity says nothing of the sum of exponentials; NaN is in no bin."""
    x = np.array([[-np.inf, 0.0, 0.0], [np.nan, 0.0, 1.0], [np.inf, 0.0, 0.0]])
    found = scores(fl.SparseCategoricalCrossentropy(from_logits=True), np.array([0, 2, 0]), x)
    assert found.correct == 1
    assert found.bins[0].sum() == 1  # confidence 1/2 of the first row, none of the others
    assert found.bins[1].sum() == pytest.approx(0.5)


def test_nothing_counts():
    found = scores(
        fl.SparseCategoricalCrossentropy(), LABELS, softmax(LOGITS, 1), mask=~MASK & MASK
    )
    assert found.weight == 0
    assert found.share(found.correct) is None
    assert found.calibration_error is None
    assert scores(fl.Poisson(), LOGITS**2, LOGITS**2) is None


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_narrow_types(dtype):
    x = LOGITS.astype(dtype)
    found = scores(fl.SparseCategoricalCrossentropy(from_logits=True), LABELS, x)
    assert found.correct == np.sum(x.argmax(1) == LABELS)
    p = softmax(x.astype(float), axis=1)
    error = expected_calibration_error(p.max(1), p.argmax(1) == LABELS, np.ones(ROWS), ALL.bins)
    assert found.calibration_error == pytest.approx(error, abs=1e-6)
