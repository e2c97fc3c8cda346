"""Every row of the edge tables in docs/reference/losses/ is what the loss gives.

The first cell of a table's head holds the options of the whole table, the first cell of a row may
hold more; then come y_true, y_pred, the loss and the gradient. Shown numbers have four digits.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import fastloss as fl

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "losses"
LOSSES = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "poisson",
    "kl_divergence",
)


def options(cell):
    """Return the options that a cell names between backticks, as keywords."""
    found = re.findall(r"`(\w+)=(.*?)`", cell)
    return {name: ast.literal_eval(value) for name, value in found}


def array(cell):
    """Return the numbers of a cell."""
    return eval(cell.strip("` "), {"__builtins__": {}, "inf": np.inf, "nan": np.nan})


def rows(page):
    """Yield the rows of a page's edge tables as (cells, options)."""
    common = None
    for line in (PAGES / f"{page}.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[1:] == ["`y_true`", "`y_pred`", "loss", "gradient"]:
            common = options(cells[0])
        elif not line.startswith("|"):
            common = None
        elif common is not None and not line.startswith("|---"):
            yield cells, common | options(cells[0])


EDGES = [(name, *row) for name in LOSSES for row in rows(name)]


@pytest.mark.parametrize(("name", "cells", "keywords"), EDGES)
def test_edge(name, cells, keywords):
    call = fl.value_and_grad(getattr(fl, name))
    _, y_true, y_pred, *shown = cells
    if shown[0].startswith("ValueError"):
        with pytest.raises(ValueError, match=r"."):
            call(array(y_true), array(y_pred), **keywords)
        return
    for cell, found in zip(shown, call(array(y_true), array(y_pred), **keywords), strict=True):
        rounded = [float(f"{number:.4g}") for number in np.ravel(found)]
        np.testing.assert_array_equal(np.ravel(array(cell)), rounded)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_table(name):
    assert sum(loss == name for loss, *_ in EDGES) > 5
