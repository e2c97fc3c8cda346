"""What the panels of a picture show, from the numbers that they are given."""

import numpy as np
import pytest

from fastloss.cli.plot.groups import MOST, group_panel
from fastloss.cli.plot.reliability import reliability_panel
from fastloss.cli.plot.row_losses import row_loss_panel
from fastloss.out_of_core.class_scores import Scores
from fastloss.out_of_core.row_statistics import RowStatistics

RNG = np.random.default_rng(2)


def row_losses(losses):
    statistics = RowStatistics()
    statistics.add(np.arange(len(losses)), np.asarray(losses))
    return row_loss_panel(statistics)


def scores(bins):
    return Scores(float(bins[0].sum()), 0.0, np.empty(0), None, bins)


def group_columns(losses):
    losses = np.array(losses, float)
    keys = np.array([f"g{i}" for i in range(losses.size)])
    return {"group": keys, "loss": losses, "count": np.arange(1, losses.size + 1)}


def axes_of(panel):
    """Return the axes of the drawn panel, and the texts of its legend."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    panel.draw(figure)
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return figure.axes, legends


def test_every_row_is_in_a_bin():
    losses = RNG.gamma(2.0, size=1000)
    panel = row_losses(losses)
    assert panel.counts.sum() == 1000
    assert panel.outside == []
    assert (panel.edges[0], panel.edges[-1]) == (losses.min(), losses.max())


def test_few_rows_far_away_are_counted_in_words():
    losses = np.concatenate([RNG.random(1000), [50.0, np.inf, -40.0, np.nan]])
    panel = row_losses(losses)
    assert panel.edges[0] >= 0
    assert panel.edges[-1] <= 1
    beyond = [np.sum(losses < panel.edges[0]), np.sum(losses > panel.edges[-1])]
    assert panel.counts.sum() == 1003 - sum(beyond)
    below, above, nan = panel.outside
    assert f": {beyond[0]} rows, down to -40" in below
    assert f": {beyond[1]} rows, up to inf" in above
    assert nan == "NaN: 1 rows"


@pytest.mark.parametrize("loss", [0.0, 0.7, -1e-9, 1e30])
def test_equal_losses_are_in_the_middle(loss):
    panel = row_losses([loss] * 7)
    assert panel.counts.tolist() == [0] * 20 + [7] + [0] * 20


def test_mean_and_quantiles_are_marked():
    losses = np.arange(101.0)
    (axes,), legend = axes_of(row_losses(losses))
    marks = {line.get_xdata()[0] for line in axes.lines if len(line.get_xdata())}
    assert marks == {50.0, 1.0, 25.0, 75.0, 99.0}
    assert legend == ["mean: 50", "median: 50", "quartiles: 25, 75", "1 %, 99 %: 1, 99"]


@pytest.mark.parametrize("losses", [[], [np.inf, np.nan], [-1.7e308, 1.7e308]])
def test_no_panel_without_a_finite_range(losses):
    assert row_losses(losses) is None


def test_reliability_is_that_of_the_bins():
    bins = np.array([[2.0, 0.0, 6.0], [0.4, 0.0, 5.4], [1.0, 0.0, 4.5]])
    panel = reliability_panel(scores(bins), binary=False)
    assert panel.confidence.tolist() == pytest.approx([0.2, 0.9])
    assert panel.outcome.tolist() == pytest.approx([0.5, 0.75])
    assert panel.share.tolist() == [0.25, 0.75]
    # |0.2 - 0.5| * 2/8 + |0.9 - 0.75| * 6/8
    assert panel.title == "Calibration error 0.1875 (3 bins)"
    assert panel.numbers().rows[1] == ("0.667 to 1", "0.9", "0.75", "75.00%")
    (axes, weights), _ = axes_of(panel)
    assert [bar.get_height() for bar in weights.patches] == [0.25, 0.75]
    assert [bar.get_center()[0] for bar in weights.patches] == pytest.approx([1 / 6, 5 / 6])
    assert axes.get_ylabel() == "share correct"
    (axes, _), _ = axes_of(reliability_panel(scores(bins), binary=True))
    assert axes.get_ylabel() == "share of class 1"


def test_no_reliability_without_classes_or_weight():
    assert reliability_panel(None, binary=False) is None
    assert reliability_panel(scores(np.zeros((3, 15))), binary=True) is None


def test_the_worst_groups_are_bars():
    panel = group_panel(group_columns(np.arange(40.0)[::-1]), None, 19.5)
    assert panel.title == f"Loss by group: worst {MOST} of 40"
    (axes,), legend = axes_of(panel)
    assert [bar.get_width() for bar in axes.patches] == list(range(39, 39 - MOST, -1))
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["g0 (1)", "g1 (2)"]
    assert [text.get_text() for text in axes.texts][:2] == ["39", "38"]
    assert legend == ["all rows: 19.5"]


def test_groups_without_a_finite_loss_have_no_bar():
    (axes,), _ = axes_of(group_panel(group_columns([np.nan, np.inf, 2.0]), None, 1.0))
    assert [bar.get_width() for bar in axes.patches] == [0, 0, 2]
    assert [text.get_text() for text in axes.texts] == ["nan", "inf", "2"]


def test_sums_of_groups_are_not_held_against_the_sum_of_all():
    (axes,), legend = axes_of(group_panel(group_columns([3.0, 1.0]), "sum", 4.0))
    assert legend == []
    assert axes.get_xlabel().startswith("sum of the losses")


def test_no_panel_without_groups():
    assert group_panel({}, None, None) is None
    assert group_panel(group_columns([]), None, 0.0) is None
