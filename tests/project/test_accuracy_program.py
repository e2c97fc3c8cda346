"""The program that measures errors: its arithmetic is right, and it finds errors put in."""

import numpy as np
import pytest
from fastloss_kernels.elementary.exp import exp
from mpmath import mp, mpf
from numba import njit

from benchmarks.accuracy import (
    arguments,
    elementary,
    losses,
    peers,
    report,
    screening,
    sweeping,
    wide,
)
from benchmarks.accuracy.cases import CASES
from benchmarks.accuracy.rows import KINDS

WIDE_DIGITS = 2.0**-88
by_name = {case.name: case for case in CASES}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def exact(number):
    return (mpf(number[0]) + mpf(number[1])) * mpf(2) ** number[2]


def wides(rng, count, lowest, highest, signs=(-1, 1)):
    """Return wide numbers with exponents between these, whose low parts are not 0."""
    for n in rng.integers(lowest, highest, count):
        high = rng.uniform(1, 2) * rng.choice(signs)
        yield wide.tidy(high, high * 2.0**-54 * rng.uniform(-1, 1), int(n))


def assert_close(computed, right, size=None):
    assert abs(exact(computed) - right) <= WIDE_DIGITS * abs(right if size is None else size)


@mp.workdps(400)
def test_wide_arithmetic_against_mpmath():
    rng = np.random.default_rng(0)
    for a, b in zip(wides(rng, 300, -2000, 2000), wides(rng, 300, -60, 60), strict=True):
        x, y = exact(a), exact(b)
        assert_close(wide.mul(a, b), x * y)
        assert_close(wide.div(a, b), x / y)
        near = (b[0], b[1], a[2] + b[2])
        assert_close(wide.add(a, near), x + exact(near), abs(x) + abs(exact(near)))
    assert wide.add(wide.wide(3.0), wide.minus(wide.wide(3.0)))[0] == 0


@mp.workdps(400)
def test_wide_functions_against_mpmath():
    rng = np.random.default_rng(1)
    for a in wides(rng, 300, -80, 15):
        assert_close(wide.exp(a), mp.exp(exact(a)))
    for a in wides(rng, 300, -1000, 1000, signs=[1]):
        assert_close(wide.log(a), mp.log(exact(a)))
        assert_close(wide.log1p(a), mp.log(1 + exact(a)))
    for a in wides(rng, 300, -1000, -1):
        assert_close(wide.log1p(a), mp.log(1 + exact(a)))
        assert_close(wide.log(wide.add(wide.wide(1.0), a)), mp.log(1 + exact(a)), 1.0)


@every_case
@pytest.mark.parametrize("dtype", losses.DTYPES)
def test_the_wide_formulas_agree_with_mpmath(case, dtype):
    for kind in KINDS[case.name]:
        targets, x = losses.draw(case, dtype, kind, 3, seed=5, share=0.0002)
        batch = losses.Batch(case, kind, (targets, x), {"fastloss": losses.ours})
        for row in range(len(x)):
            batch.loss(0, row).judge_again()
            batch.slope(0, row).judge_again()


@every_case
def test_an_error_of_two_hundred_last_places_is_found(case):
    def off(case, targets, x):
        values, gradient = (item.astype(np.float32) for item in case.plain(targets, x))
        values[1] += 200 * np.spacing(values[1])
        gradient[2, 0] += 200 * np.spacing(gradient[2, 0])
        return values, gradient

    targets, x = case.data(30, 5)
    loss, slope = losses.Batch(case, "", (targets, x), {"off": off}).worst(0)
    assert loss.row == 1
    assert (slope.row, slope.place) == (2, 0)
    # a last place counts at the size of the terms, which is larger where they cancel
    assert losses.GOAL < loss.ulps <= 200.5
    assert losses.GOAL < slope.ulps <= 200.5


def test_the_formula_that_cancels_is_found():
    def naive(case, targets, x):
        e = np.exp(x)
        total = e.sum(axis=1, keepdims=True)
        rows = np.arange(len(x)), targets
        gradient = e / total
        gradient[rows] -= 1
        return np.log(total[:, 0]) - x[rows], gradient

    case = by_name["sparse_logits"]
    rows = losses.draw(case, "float64", "loss of 1e-30", 5, seed=0, share=0.001)
    loss, slope = losses.Batch(case, "loss of 1e-30", rows, {"naive": naive}).worst(0)
    assert loss.ulps > 1e15
    assert slope.ulps > 1e15
    assert 0 <= slope.place == slope.target


def test_a_number_where_there_is_none_is_found():
    case = by_name["sparse_logits"]
    for wrong in (np.nan, np.inf):
        pair = np.full(3, wrong), np.full((3, 2), wrong)
        rows = np.zeros(3, np.int64), np.zeros((3, 2), np.float32)
        found = losses.Batch(case, "", rows, {"wrong": lambda *_, pair=pair: pair}).worst(0)
        assert [number.ulps for number in found] == [np.inf, np.inf]


@njit
def wrong_at_one_number(x):
    return exp(x) * np.float32(1 + 5e-7 if x == 1.0625 else 1)


@njit
def wrong_near_a_break(x):
    return exp(x) * (1 + 1e-15 if abs(x - 2.5 * arguments.LN2) < 1e-7 else 1)


def entry(function, **domain):
    draw = arguments.around_breaks
    return elementary.of_one("wrong exp", function, wide.exp, mp.exp, np.exp, draw, **domain)


def test_the_sweep_finds_one_wrong_number():
    function = entry(wrong_at_one_number, single=(1.0, 1.125))
    (found,) = sweeping.sweep(function, [sweeping.engine(function)])
    assert found.inputs == 2**20 + 1
    assert found.x == 1.0625
    assert found.ulps > 3
    assert found.wrong == 0
    sweeping.judge_again(function, "float32", found)


def test_the_search_finds_a_wrong_neighbourhood():
    function = entry(wrong_near_a_break, double=(-10, 10))
    found = sweeping.search(function, "float64", 200_000, np.random.default_rng(0))
    assert found.ulps > 2
    assert abs(found.x - 2.5 * arguments.LN2) < 1e-7
    sweeping.judge_again(function, "float64", found)


@np.errstate(over="ignore")
def test_wrong_special_results_are_counted():
    x = np.array([np.nan, np.inf, -np.inf, 1000, -1000, 0, -90], np.float32)
    right = np.exp(x.astype(np.float64))
    assert sweeping.judge(x, x, right.astype(np.float32), right).wrong == 0
    flushed = right.astype(np.float32)
    flushed[-1] = 0  # a subnormal number is not exactly this, but no special result either
    found = sweeping.judge(x, x, flushed, right)
    assert found.wrong == 0
    assert found.subnormal > 1e4
    assert sweeping.judge(x, x, np.ones_like(x), right).wrong == 5


@pytest.mark.parametrize("function", elementary.FUNCTIONS, ids=lambda function: function.name)
def test_the_functions_of_the_engine_in_brief(function):
    found = sweeping.search(function, "float32", 20_000, np.random.default_rng(0))
    assert found.inputs > 20_000
    if function.second:
        (swept,) = sweeping.sweep(function, [sweeping.engine(function)], every=3000)
        sweeping.judge_again(function, "float32", swept)
        assert 0.5 <= swept.ulps < 1.25 * elementary.GOAL
        assert swept.wrong == 0


def test_peers_compute_the_same_losses():
    special = pytest.importorskip("scipy.special")
    compute = peers.scipy_losses(special)
    for case in CASES:
        rows = case.data(20, 7)
        if pair := compute(case, *rows):
            for theirs, mine in zip(pair, losses.ours(case, *rows), strict=True):
                np.testing.assert_allclose(theirs, mine, rtol=1e-4, atol=1e-6)


def test_tables():
    results = list(losses.measure(3, 0.0001, {"fastloss": losses.ours}, "kl", [2, 3]))
    shown = report.loss_table(results, "a test")
    assert "| `kl_divergence` | " in shown
    assert "a test" in shown


def test_a_sum_of_targets_that_is_nearly_one_has_two_last_places():
    targets = [0.24486616800006908, 0.5779657856885171, 0.17716804631141378]
    x = np.array(
        list(
            map(
                float.fromhex,
                ["0x1.60ddf8907c37dp-3", "0x1.39fb711ea0926p+1", "0x1.d869425296a9dp+8"],
            )
        )
    )
    found = screening.exact("dense_logits", np.array(targets), x, 2, 0.8228319536885862)
    np.testing.assert_allclose(found, [0.125, 0.25], rtol=1e-3)
