"""Weights, masks and reductions: alignment, divisors, scale and keep."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.reduction import check_reduction, reduction_plan

MEANS = ["sum_over_batch_size", "mean", "mean_with_sample_weight"]
REDUCTIONS = [None, "none", "sum", *MEANS]


def expected_value(reduction, losses, weight=None, valid=None):
    """Return the value by its definition: losses, weight and valid have one shape."""
    weight = np.ones(losses.shape) if weight is None else weight
    valid = np.ones(losses.shape, bool) if valid is None else valid
    products = np.where(valid & (weight != 0), losses * weight, 0.0)
    if reduction in (None, "none"):
        return products
    divisor = {"sum": 1.0, "mean_with_sample_weight": weight[valid].sum()}
    divisor = divisor.get(reduction, np.count_nonzero(valid))
    return products.sum() / divisor if divisor else 0.0


def gradient_by_rows(plan, rows):
    """Return d(result)/d(loss), as the kernel would apply it."""
    return np.where(np.broadcast_to(plan.keep, rows), np.broadcast_to(plan.scale, rows), 0.0)


def kernel_losses(plan, losses):
    """Return what a kernel writes for these losses."""
    return np.where(np.broadcast_to(plan.keep, losses.size), losses.reshape(-1), 0.0)


@pytest.mark.parametrize("reduction", ["abc", "NONE", "", "batch_mean", 1, True, ["sum"], {}])
def test_only_the_legal_reductions_pass(reduction):
    with pytest.raises(ValueError, match="reduction must be None"):
        check_reduction(reduction)


def test_auto_is_an_old_name():
    assert check_reduction("auto") == "sum_over_batch_size"
    assert [check_reduction(r) for r in REDUCTIONS] == REDUCTIONS


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("ignoring", [False, True])
def test_values_and_scales_follow_the_definitions(reduction, weighted, masked, ignoring):
    rng = np.random.default_rng(3)
    losses = rng.random((4, 3)) + 0.5
    weight = rng.random((4, 3)) * [1.0, 0.0, 1.0] if weighted else None
    mask = rng.random((4, 3)) > 0.3 if masked else None
    ignored = rng.random((4, 3)) > 0.7 if ignoring else None
    valid = np.ones((4, 3), bool)
    valid &= True if mask is None else mask
    valid &= True if ignored is None else ~ignored
    plan = reduction_plan((4, 3), reduction, weight, mask, ignored=ignored)
    value = plan.reduce(kernel_losses(plan, losses))
    expected = expected_value(reduction, losses, weight, valid)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    # the value is linear in the losses: its derivative by one is its change
    total = np.sum(expected)
    for row, slope in enumerate(gradient_by_rows(plan, 12)):
        moved = losses.copy()
        moved.flat[row] += 1.0
        change = np.sum(expected_value(reduction, moved, weight, valid)) - total
        np.testing.assert_allclose(slope, change, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_without_weights_nothing_grows_with_the_rows(reduction):
    plan = reduction_plan((1000, 10), reduction)
    assert plan.scale.shape == plan.keep.shape == (1,)
    assert plan.weight is plan.valid is None
    losses = np.ones(10_000, np.float32)
    if reduction in (None, "none"):
        assert np.shares_memory(plan.reduce(losses), losses)


@pytest.mark.parametrize("reduction", MEANS)
def test_a_mask_alone_needs_one_scale(reduction):
    plan = reduction_plan((6,), reduction, mask=np.array([1, 0, 1, 1, 0, 0], bool))
    np.testing.assert_array_equal(plan.scale, [1 / 3])


@pytest.mark.parametrize("reduction", REDUCTIONS[2:])
@pytest.mark.parametrize(
    "arguments",
    [
        {"mask": np.zeros(3, bool)},
        {"ignored": np.ones(3, bool)},
        {"sample_weight": np.zeros(3)},
    ],
)
def test_nothing_to_divide_by_gives_zero(reduction, arguments):
    plan = reduction_plan((3,), reduction, **arguments)
    assert plan.reduce(kernel_losses(plan, np.full(3, np.nan))) == 0.0
    np.testing.assert_array_equal(gradient_by_rows(plan, 3), 0.0)


def test_nan_does_not_pass_a_weight_of_zero_beside_a_mask():
    plan = reduction_plan((3,), None, np.array([0.0, 2.0, 1.0]), np.array([True, True, False]))
    np.testing.assert_array_equal(plan.keep, [False, True, False])
    np.testing.assert_array_equal(plan.reduce(np.array([0.0, 3.0, 0.0])), [0.0, 6.0, 0.0])


def test_weights_that_cancel_give_zero_even_for_nan():
    weight, mask = np.array([-1.0, 1.0, 5.0]), np.array([True, True, False])
    plan = reduction_plan((3,), "mean_with_sample_weight", weight, mask)
    assert plan.reduce(kernel_losses(plan, np.array([np.nan, 1.0, 2.0]))) == 0.0
    np.testing.assert_array_equal(gradient_by_rows(plan, 3), 0.0)


@pytest.mark.parametrize("reduction", REDUCTIONS[2:])
def test_no_rows_reduce_to_zero(reduction):
    assert reduction_plan((0,), reduction).reduce(np.empty(0)) == 0.0
    assert (
        reduction_plan((0, 3), reduction, sample_weight=np.empty((0, 3))).reduce(np.empty(0)) == 0.0
    )


def test_no_rows_unreduced_keep_their_shape():
    assert reduction_plan((0, 3), None).reduce(np.empty(0)).shape == (0, 3)


def test_weight_zero_is_in_the_count_and_masked_is_out():
    losses = np.array([3.0, 5.0, 7.0])
    plan = reduction_plan((3,), "mean", sample_weight=np.array([0.0, 1.0, 1.0]))
    assert plan.reduce(kernel_losses(plan, losses)) == 12.0 / 3
    plan = reduction_plan((3,), "mean", mask=np.array([False, True, True]))
    assert plan.reduce(kernel_losses(plan, losses)) == 12.0 / 2


def test_weights_that_are_not_finite_multiply_as_ieee_says():
    losses = np.array([1.0, 0.0, 2.0, np.nan])
    weight = np.array([np.nan, np.inf, np.inf, 0.0])
    plan = reduction_plan((4,), None, sample_weight=weight)
    value = plan.reduce(kernel_losses(plan, losses))
    np.testing.assert_array_equal(value, [np.nan, np.nan, np.inf, 0.0])
    masked = reduction_plan((4,), None, sample_weight=weight, mask=np.zeros(4, bool))
    np.testing.assert_array_equal(masked.reduce(np.zeros(4)), np.zeros(4))


def test_a_scalar_weight_scales_all_but_the_weighted_mean():
    losses = np.array([1.0, 2.0, 6.0])
    weight = np.full(3, 2.5)
    assert reduction_plan((3,), "mean", weight).reduce(losses) == 7.5
    assert reduction_plan((3,), "mean_with_sample_weight", weight).reduce(losses) == 3.0


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-31, 1e-30, 1.0, 1e30, 1e308])
@pytest.mark.parametrize("masked", [False, True])
def test_a_weighted_mean_is_the_same_for_all_multiples_of_the_weights(size, masked):
    losses = np.array([1.3, 2.0, 6.1, 4.0])
    weight = np.array([1.0, 1.0, 1.0, 0.0]) * size
    mask = None
    if masked:  # a masked weight of another size does not count
        weight[3], mask = 1e300 if size < 1 else 1e-300, np.array([True, True, True, False])
    plan = reduction_plan((4,), "mean_with_sample_weight", weight, mask)
    np.testing.assert_allclose(plan.reduce(kernel_losses(plan, losses)), 9.4 / 3, rtol=1e-14)
    np.testing.assert_allclose(gradient_by_rows(plan, 4), [1 / 3] * 3 + [0.0], rtol=1e-14)


def test_a_weighted_mean_with_an_infinite_weight_has_no_value():
    plan = reduction_plan((2,), "mean_with_sample_weight", np.array([np.inf, 1.0]))
    assert np.isnan(plan.reduce(np.array([1.0, 2.0])))


def test_nobody_can_write_what_calls_share():
    for plan in (reduction_plan((3,), "sum"), reduction_plan((3,), "mean", mask=np.zeros(3, bool))):
        assert not plan.keep.flags.writeable
    assert not reduction_plan((3,), "sum").scale.flags.writeable


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float16, np.float32, np.float64])
def test_a_mask_may_hold_whole_numbers(dtype):
    plan = reduction_plan((3,), "sum", mask=np.array([1, 0, 25], dtype))
    np.testing.assert_array_equal(plan.keep, [True, False, True])


@pytest.mark.parametrize("number", [0.5, -0.25, 1.5, np.nan])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_fractions_are_no_mask(number, dtype):
    message = rf"^mask must hold True and False, .*: got {dtype(number)}; .*sample_weight$"
    with pytest.raises(ValueError, match=message):
        reduction_plan((3,), "sum", mask=np.array([1, number, 0], dtype))


def test_upstream_multiplies_the_scale():
    np.testing.assert_array_equal(reduction_plan((4,), "mean", upstream=np.array(2.0)).scale, [0.5])
    upstream = np.array([[1.0, 0.0], [-2.0, 3.0]])
    plan = reduction_plan((2, 2), None, np.array([[1.0] * 2, [2.0] * 2]), upstream=upstream)
    np.testing.assert_array_equal(plan.scale, [1.0, 0.0, -4.0, 6.0])
    assert plan.keep.all()  # an upstream of 0 does not hide the loss


@pytest.mark.parametrize(
    ("reduction", "losses", "upstream"),
    [("sum", (3,), (3,)), (None, (3,), ()), (None, (3,), (3, 1)), ("mean", (3,), (1,))],
)
def test_upstream_has_the_shape_of_the_result(reduction, losses, upstream):
    with pytest.raises(ValueError, match="upstream must have the shape of the result"):
        reduction_plan(losses, reduction, upstream=np.ones(upstream))


def test_results_too_small_for_their_type_do_not_raise():
    """Whatever NumPy was told to raise: 1e-300 is 0 in float32."""
    y, x = np.zeros((2, 3), np.float32), np.full((2, 3), 0.5, np.float32)
    with np.errstate(all="raise"):
        loss = fl.BinaryCrossentropy(reduction=None)
        value, grad = loss.value_and_grad(y, x, sample_weight=[1e-300, 1e-42])
        half = fl.BinaryCrossentropy(dtype="float16", reduction="sum")(y, x, [1e-6, 1e-9])
    assert value[0] == 0
    assert value[1] > 0
    assert not grad[0].any()
    assert half > 0
