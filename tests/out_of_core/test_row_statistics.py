"""Histograms of row losses, from stored losses and from counts of their leading bits."""

from itertools import pairwise

import numpy as np
import pytest

from fastloss.out_of_core import row_statistics
from fastloss.out_of_core.row_statistics import QUANTILE_ERROR, RowStatistics

RNG = np.random.default_rng(7)
LOSSES = RNG.normal(size=5000)


def statistics_of(losses):
    """Return the statistics of losses that are added in three blocks."""
    found = RowStatistics()
    for rows in np.array_split(np.arange(len(losses)), 3):
        found.add(rows, losses[rows])
    return found


@pytest.fixture(params=["stored", "counted", "counted in pieces"])
def stored(request, monkeypatch):
    """Return whether losses are stored; otherwise they are counted by their leading bits."""
    if request.param != "stored":
        monkeypatch.setattr(row_statistics, "EXACT_ROWS", 2000)
    if request.param == "counted in pieces":
        monkeypatch.setattr(row_statistics, "_PIECE", 700)
    return request.param == "stored"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_those_of_the_losses(stored, dtype):
    losses = LOSSES.astype(dtype)
    statistics = statistics_of(losses)
    assert statistics.exact == stored
    edges = np.linspace(-2, 2, 9)
    counts = statistics.histogram(edges)
    assert counts.dtype == np.int64
    expected = [np.sum((a <= losses) & (losses < b)) for a, b in pairwise(edges)]
    if stored:
        np.testing.assert_array_equal(counts, expected)
    else:  # only losses so close to an edge may be on its other side
        off = QUANTILE_ERROR * np.abs(edges)
        near = [np.sum(np.abs(losses - e) <= o) for e, o in zip(edges, off, strict=True)]
        assert np.all(np.abs(counts - expected) <= np.add(near[:-1], near[1:]))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_loss_is_lost_between_the_extremes(dtype):
    losses = (LOSSES + 3.3).astype(dtype)
    edges = np.linspace(float(losses.min()), float(losses.max()), 20)
    assert statistics_of(losses).histogram(edges).sum() == len(losses)


@pytest.mark.usefixtures("stored")
def test_infinite_losses_are_beyond_all_edges_and_nan_nowhere():
    losses = np.array([-np.inf, *[1.0] * 3000, np.inf, np.inf, np.nan], np.float32)
    statistics = statistics_of(losses)
    assert statistics.histogram(np.array([-np.inf, 0, 2, np.inf])).tolist() == [1, 3000, 2]
    assert statistics.histogram(np.array([0.0, 2.0])).tolist() == [3000]


def test_without_losses_all_counts_are_0():
    assert RowStatistics().histogram(np.array([0.0, 1.0, 2.0])).tolist() == [0, 0]


def test_counts_of_really_many_losses():
    rows = row_statistics.EXACT_ROWS + 1000
    losses = np.random.default_rng(rows).exponential(size=rows).astype(np.float32)
    statistics = statistics_of(losses)
    assert not statistics.exact
    edges = np.array([0.0, 0.25, 1.0, 4.0, 100.0])  # powers of two are edges of the counted bins
    np.testing.assert_array_equal(statistics.histogram(edges), np.histogram(losses, edges)[0])
