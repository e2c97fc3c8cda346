"""The panels of an evaluation show its numbers."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.cli.plot.groups import MOST, group_panel
from fastloss.cli.plot.reliability import reliability_panel
from fastloss.cli.plot.row_losses import row_loss_panel
from fastloss.out_of_core.evaluation import evaluate_in_blocks

RNG = np.random.default_rng(34)
LOGITS, LABELS = RNG.normal(size=(300, 4)), RNG.integers(0, 4, 300)
KEYS = RNG.choice(["<b>", "a$b", "ä"], 300)


def test_panels_hold_the_numbers():
    loss = fl.SparseCategoricalCrossentropy(from_logits=True)
    summary = evaluate_in_blocks(loss, LABELS, LOGITS, groups=KEYS)
    rows = fl.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    histogram = row_loss_panel(summary.losses)
    assert histogram.counts.sum() == 300
    np.testing.assert_array_equal(histogram.counts, np.histogram(rows, histogram.edges)[0])
    assert histogram.mean == pytest.approx(rows.mean())
    calibration = reliability_panel(summary.scores, False)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    correct = p.argmax(axis=1) == LABELS
    assert np.sum(calibration.share * calibration.outcome) == pytest.approx(correct.mean())
    assert np.sum(calibration.share * calibration.confidence) == pytest.approx(p.max(1).mean())
    groups = group_panel(summary.groups.columns(None, False), None, summary.value)
    assert sorted(groups.keys) == sorted(set(KEYS.tolist()))
    assert sum(groups.counts) == 300


def test_many_groups_are_the_worst_ones():
    keys = np.arange(300) % 50
    summary = evaluate_in_blocks(
        fl.Poisson(axis=()), LOGITS[:, 0] ** 2, LOGITS[:, 1] ** 2, groups=keys
    )
    columns = summary.groups.columns(None, False)
    panel = group_panel(columns, None, summary.value)
    assert panel.losses == columns["loss"][:MOST].tolist()
    assert panel.title == f"Loss by group: worst {MOST} of 50"
