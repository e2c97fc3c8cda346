"""The shared table draws what it says: no empty ranges, no missing classes, no constant data."""

import numpy as np
import pytest

import fastloss as fl
from benchmarks.cases import CASES

ROWS, CLASSES = 400, 7
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_table_holds_every_loss_and_every_name_once():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    functions = {fl.binary_crossentropy, fl.categorical_crossentropy, fl.poisson, fl.kl_divergence}
    assert {case.function for case in CASES} == {*functions, fl.sparse_categorical_crossentropy}
    logits = {case.function for case in CASES if case.options.get("from_logits")}
    assert len(logits) == 3


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes(case, dtype):
    y_true, y_pred = case.data(ROWS, CLASSES, dtype)
    assert y_pred.shape == (ROWS, CLASSES)
    assert y_pred.dtype == dtype
    assert y_true.dtype == (np.int64 if case.sparse else dtype)
    assert y_true.shape == ((ROWS,) if case.sparse else (ROWS, CLASSES))


@every_case
def test_data_vary_and_depend_on_the_seed_alone(case):
    y_true, y_pred = case.data(ROWS, CLASSES)
    assert np.isfinite(y_pred).all()
    assert len(np.unique(y_pred)) > 0.9 * y_pred.size
    assert (np.ptp(y_true, axis=0) > 0).all()
    again_true, again_pred = case.data(ROWS, CLASSES)
    np.testing.assert_array_equal(again_true, y_true)
    np.testing.assert_array_equal(again_pred, y_pred)
    assert not np.array_equal(case.data(ROWS, CLASSES, seed=1)[1], y_pred)


@every_case
def test_targets_cover_their_range(case):
    y_true, y_pred = case.data(ROWS, CLASSES, np.float64)
    if case.sparse:
        assert np.bincount(y_true, minlength=CLASSES).min() >= ROWS // CLASSES
    elif case.function is fl.binary_crossentropy:
        assert 0.4 < y_true.mean() < 0.6
    elif case.function is fl.poisson:
        assert (y_true == 0).any()
        assert (y_true > 3).any()
        assert (y_pred > 0).all()
    else:
        np.testing.assert_allclose(y_true.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["sparse_logits", "dense_logits", "binary_logits"])
def test_confident_and_hopeless_rows_are_there_and_rare(name):
    (case,) = (case for case in CASES if case.name == name)
    y_true, y_pred = case.data(ROWS, CLASSES, np.float64)
    extreme = np.abs(y_pred).max(axis=1) > 20
    assert 0.03 < extreme.mean() < 0.3
    rows, _ = case.plain(y_true, y_pred)
    assert rows.max() > 15
    if case.sparse:
        assert rows.min() < 1e-12
