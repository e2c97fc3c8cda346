"""The table that a notebook shows of a summary: right numbers, well formed, nothing unescaped."""

import xml.etree.ElementTree as ET

import numpy as np

import fastloss as fl
from fastloss.out_of_core.evaluation import evaluate_in_blocks

LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
SPARSE = fl.SparseCategoricalCrossentropy(from_logits=True)


def cells(summary):
    """Return the texts of each table's rows; an error where the markup is not well formed."""
    root = ET.fromstring(summary._repr_html_())
    return [[["".join(c.itertext()) for c in row] for row in table] for table in root.iter("table")]


def test_the_table_has_the_numbers_of_the_summary():
    summary = evaluate_in_blocks(SPARSE, np.array([0, 0, 1]), LOGITS)
    (table,) = cells(summary)
    found = dict(table)
    assert float(found["loss"]) == float(f"{summary.value:.6g}")
    assert found["rows"] == "3"
    assert float(found["accuracy"]) == float(f"{summary.accuracy:.6g}")
    assert float(found["largest row loss"]) == float(f"{summary.losses.maximum:.6g}")
    assert "NaN rows" not in found


def test_what_was_not_computed_is_not_shown():
    loss = fl.Poisson(reduction=None)
    (table,) = cells(evaluate_in_blocks(loss, np.ones((2, 2)), np.array([[1.0, -5.0], [1.0, 1.0]])))
    found = dict(table)
    assert "loss" not in found
    assert "accuracy" not in found
    assert found["NaN rows"] == "1"


def test_the_worst_groups_follow_and_their_names_are_escaped():
    names = np.array(["<b>&", "plain", "plain"])
    summary = evaluate_in_blocks(SPARSE, np.array([0, 0, 1]), LOGITS, groups=names)
    assert "<b>" not in summary._repr_html_()
    _, groups = cells(summary)
    assert [row[0] for row in groups] == ["group", "plain", "<b>&"]
    assert groups[0] == ["group", "mean loss", "rows"]
    assert groups[1][2] == "2"


def test_no_more_than_five_groups_are_shown():
    summary = evaluate_in_blocks(SPARSE, np.zeros(7, int), np.eye(7), groups=np.arange(7))
    _, groups = cells(summary)
    assert [row[0] for row in groups] == ["group", "1", "2", "3", "4", "5"]
    assert "5 of 7 groups" in summary._repr_html_()


def test_a_summary_without_rows_has_a_table():
    found = dict(cells(evaluate_in_blocks(SPARSE, np.zeros(0, int), np.zeros((0, 2))))[0])
    assert found["rows"] == "0"
    assert "largest row loss" not in found
