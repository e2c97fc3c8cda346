"""Exact sums against fractions, which are exact too: in any order, rounded once, in JSON."""

import json
import math
import pickle
from fractions import Fraction
from functools import reduce
from operator import add

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastloss.accumulation.exact_sum import ZERO, ExactSum

some = settings(deadline=None, max_examples=60, derandomize=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
SMALLEST, LARGEST = 5e-324, 1.7976931348623157e308


def summed(values):
    return reduce(add, map(ExactSum.of, values), ZERO)


def rounded(number):
    """Return the nearest float64 to a fraction."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


@some
@given(st.lists(finite, max_size=12))
def test_sum_is_rounded_once(values):
    exact = sum(map(Fraction, values), Fraction(0))
    assert float(summed(values)) == rounded(exact)
    assert bool(summed(values)) == (exact != 0)


@some
@given(st.lists(st.floats(), max_size=12), st.randoms(use_true_random=False))
def test_order_and_tree_change_nothing(values, random):
    parts = list(map(ExactSum.of, values)) or [ZERO]
    while len(parts) > 1:
        random.shuffle(parts)
        parts.append(parts.pop() + parts.pop())
    assert parts[0].units == summed(values).units
    assert same(parts[0].special, summed(values).special)


@some
@given(st.lists(finite, max_size=8), st.lists(finite, max_size=8))
def test_quotient_is_rounded_once(above, below):
    divisor = sum(map(Fraction, below), Fraction(0))
    if divisor:
        exact = sum(map(Fraction, above), Fraction(0)) / divisor
        assert summed(above) / summed(below) == rounded(exact)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([-0.0], 0.0),
        ([SMALLEST, SMALLEST], 2 * SMALLEST),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([LARGEST, LARGEST], math.inf),
        ([-LARGEST, -LARGEST], -math.inf),
        ([LARGEST, SMALLEST, -LARGEST], SMALLEST),
        ([math.inf, -LARGEST, -LARGEST], math.inf),
        ([-math.inf, 1.0, -math.inf], -math.inf),
        ([math.inf, 1.0, -math.inf], math.nan),
        ([math.inf, -math.inf, math.inf], math.nan),
        ([math.nan, math.inf, 1.0], math.nan),
    ],
)
def test_sums_at_the_edges(values, expected):
    total = summed(values)
    assert same(float(total), expected)
    written = json.dumps(total.to_json(), allow_nan=False)
    read = ExactSum.from_json("sum", json.loads(written))
    assert read.units == (0 if total.special else total.units)
    assert same(read.special, total.special)


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (math.inf, 2.0, math.inf),
        (math.inf, -2.0, -math.inf),
        (2.0, -math.inf, 0.0),
        (math.inf, math.inf, math.nan),
        (math.nan, 1.0, math.nan),
        (1.0, math.nan, math.nan),
        (LARGEST, 0.5, math.inf),
        (LARGEST, -0.5, -math.inf),
        (SMALLEST, 2.0, 0.0),
        (SMALLEST, SMALLEST, 1.0),
    ],
)
def test_quotients_at_the_edges(above, below, expected):
    assert same(ExactSum.of(above) / ExactSum.of(below), expected)


@some
@given(st.lists(finite, max_size=12))
def test_json_and_pickle_keep_every_digit(values):
    total = summed(values)
    parts = json.loads(json.dumps(total.to_json(), allow_nan=False))
    assert sum(map(Fraction, parts)) == sum(map(Fraction, values))
    assert ExactSum.from_json("sum", parts) == total
    assert pickle.loads(pickle.dumps(total)) == total


def test_json_is_short_and_begins_with_the_sum():
    assert summed([0.1] * 10).to_json() == [1.0, 10 * Fraction(0.1) - 1]
    assert ExactSum.of(-2.5).to_json() == [-2.5]
    assert ZERO.to_json() == []
    assert ExactSum.from_json("sum", [1, 0.5]) == ExactSum.of(1.5)  # other programs write 1 for 1.0


@pytest.mark.parametrize(
    "parts", [None, 1.0, "NaN", ["nan"], [True], [None], [[1.0]], [10**400], [math.inf], {}]
)
def test_anything_else_is_no_sum(parts):
    with pytest.raises(ValueError, match="sum must be a list of numbers, or of Infinity"):
        ExactSum.from_json("sum", parts)
