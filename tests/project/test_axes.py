"""Other class axes and views, as they are timed: the same rows as contiguous ones."""

import numpy as np
import pytest

from benchmarks import axes, views
from benchmarks.cases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_classes_apart_are_the_same_rows(case):
    shapes = [shape for named, shape in axes.works() if named is case]
    assert (1000, 32768) in shapes
    timed = axes.calls(case, (2, 5, 3, 2), 1)
    np.testing.assert_allclose(timed["value"](), timed["value, apart"](), rtol=1e-6)
    value, gradient = timed["gradient"]()
    same, slopes = timed["gradient, apart"]()
    np.testing.assert_allclose(value, same, rtol=1e-6)
    np.testing.assert_allclose(np.sort(gradient, None), np.sort(slopes, None), rtol=1e-6)
    found = {(case.name, shapes[-1]): axes.measure(timed, rounds=2)}
    assert min(found[case.name, shapes[-1]].values()) > 0
    lines = axes.table(found).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == 10


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.text)
def test_views_are_the_same_rows(case, view):
    small = view._replace(whole=tuple(min(n, 3) if n > 5000 else n for n in view.whole))
    if view.take is views.VIEWS[-1].take:
        small = view._replace(whole=(2, 5, 3, 4))
    elif len(view.whole) == 3:
        small = view._replace(whole=(3, 4, 7))
    timed = views.calls(case, small)
    value, gradient = timed["gradient"]()
    same, slopes = timed["gradient, apart"]()
    np.testing.assert_array_equal(gradient, slopes)
    assert timed["value"]() == timed["value, apart"]() == value == same
    found = {(case.name, small): dict.fromkeys(timed, 1.0)}
    lines = views.table(found).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == 10
