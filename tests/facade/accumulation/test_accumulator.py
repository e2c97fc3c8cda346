"""Batches added up give the loss of all of them, in any order, process and format."""

import copy
import json
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import run

import fastloss as fl

some = settings(deadline=None, max_examples=40, derandomize=True)
REDUCTIONS = ["sum", "mean", "mean_with_sample_weight"]
EPS = np.finfo(np.float64).eps
RNG = np.random.default_rng(14)
ROWS, CLASSES = 20, 4
LOGITS = RNG.normal(0, 3, (ROWS, CLASSES))
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
SOFT = np.roll(SHARES, 3, axis=0)
BITS = (RNG.random((ROWS, CLASSES)) < 0.5).astype(float)
LABELS = RNG.integers(0, CLASSES, ROWS)
WEIGHTS = RNG.uniform(0.1, 3.0, ROWS) * (RNG.random(ROWS) < 0.8)
MASK = RNG.random(ROWS) < 0.7
CLASS_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.25])
BATCHES = [slice(0, 0), slice(0, 1), slice(1, 8), slice(8, 8), slice(8, 11), slice(11, ROWS)]

SPARSE, DENSE, BINARY = (
    fl.SparseCategoricalCrossentropy,
    fl.CategoricalCrossentropy,
    fl.BinaryCrossentropy,
)
CASES = {
    "sparse": (SPARSE, {"from_logits": True}, LABELS, LOGITS),
    "ignoring": (SPARSE, {"from_logits": True, "ignore_class": 1}, LABELS, LOGITS),
    "weighted classes": (SPARSE, {"class_weight": CLASS_WEIGHTS}, LABELS, SHARES),
    "smoothed": (
        SPARSE,
        {"label_smoothing": 0.1, "ignore_class": 0, "class_weight": CLASS_WEIGHTS},
        LABELS,
        SHARES,
    ),
    "dense": (DENSE, {"label_smoothing": 0.2, "class_weight": CLASS_WEIGHTS}, SOFT, SHARES),
    "binary": (BINARY, {"from_logits": True, "pos_weight": CLASS_WEIGHTS}, BITS, LOGITS),
    "elements": (BINARY, {"axis": ()}, BITS, SHARES),
    "poisson": (fl.Poisson, {}, BITS, SHARES),
    "kl": (fl.KLDivergence, {}, SOFT, SHARES),
}
every_case = pytest.mark.parametrize("name", CASES)
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def accumulated(loss, *arrays, batches=BATCHES):
    """Return the accumulator that has seen `batches` of the arrays, of which some are None."""
    seen = fl.Accumulator(loss)
    for batch in batches:
        seen.update_state(*(None if a is None else a[batch] for a in arrays))
    return seen


def sums(name, weight, mask):
    """Return the weighted losses of one call, their weights, and whether they are valid."""
    cls, options, y_true, y_pred = CASES[name]
    losses = cls(**options, reduction=None)(y_true, y_pred, weight, mask)
    tail = losses.shape[1:]
    full = np.ones((ROWS, *tail))
    weights = full if weight is None else full * weight.reshape(-1, *(1 for _ in tail))
    valid = full > 0 if mask is None else (full > 0) & mask.reshape(-1, *(1 for _ in tail))
    if cls is SPARSE:
        weights = weights * options.get("class_weight", np.ones(CLASSES))[y_true]
        valid = valid & (y_true != options.get("ignore_class", -1))
    return losses, weights, valid


def divided(reduction, weights, valid):
    divisors = {"sum": 1.0, "mean": valid.sum(), "mean_with_sample_weight": weights[valid].sum()}
    return divisors[reduction]


@every_case
@every_reduction
@pytest.mark.parametrize("weighted", ["", "weights", "mask", "weights and mask"])
def test_batches_give_what_one_call_gives(name, reduction, weighted):
    cls, options, y_true, y_pred = CASES[name]
    weight = WEIGHTS if "weights" in weighted else None
    mask = MASK if "mask" in weighted else None
    loss = cls(**options, reduction=reduction)
    losses, weights, valid = sums(name, weight, mask)
    divisor = divided(reduction, weights, valid)
    seen = accumulated(loss, y_true, y_pred, weight, mask)
    tolerance = 4 * EPS * np.abs(losses).sum() / divisor
    value = seen.result()
    assert type(value) is np.float64
    assert abs(value - math.fsum(losses.flat) / divisor) <= tolerance
    assert abs(value - loss(y_true, y_pred, weight, mask)) <= tolerance
    assert seen.count == valid.sum()
    np.testing.assert_allclose(seen.weight_sum, weights[valid].sum(), rtol=4 * EPS)
    backwards = accumulated(loss, y_true, y_pred, weight, mask, batches=BATCHES[::-1])
    assert backwards.result() == value


@every_case
@every_reduction
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["", "weights"])
def test_a_single_batch_gives_the_bits_of_a_call(name, reduction, weight):
    cls, options, y_true, y_pred = CASES[name]
    loss = cls(**options, reduction=reduction)
    value = loss(y_true, y_pred, weight, MASK)
    seen = accumulated(loss, y_true, y_pred, weight, MASK, batches=[slice(None)])
    assert seen.result() == value
    assert np.signbit(seen.result()) == np.signbit(value)


@every_reduction
@pytest.mark.parametrize("loss", [fl.BinaryCrossentropy, fl.Poisson])
def test_weights_and_masks_of_elements(loss, reduction):
    weight = RNG.uniform(0.5, 2.0, (ROWS, CLASSES))
    mask = RNG.random((ROWS, CLASSES)) < 0.6
    elements = loss(axis=(), reduction=None)(BITS, SHARES)
    expected = math.fsum((elements * weight)[mask]) / divided(reduction, weight, mask)
    seen = accumulated(loss(reduction=reduction), BITS, SHARES, weight, mask)
    assert seen.result() == pytest.approx(expected, rel=1e-14)
    assert seen.count == mask.sum()
    flat = [array.reshape(-1) for array in (BITS, SHARES, weight, mask)]  # rank 1: n samples
    ranked = accumulated(loss(reduction=reduction), *flat, batches=[slice(0, 79), slice(79, 80)])
    assert ranked.result() == pytest.approx(expected, rel=1e-14)


def test_losses_of_rows_and_of_elements_are_not_mixed():
    seen = accumulated(fl.Poisson(), BITS, SHARES, batches=[slice(0, 5)])
    before = seen.to_dict()
    ones = np.ones((3, CLASSES))
    with pytest.raises(ValueError, match="in all batches or in none"):
        seen.update_state(BITS[:3], SHARES[:3], ones)
    elements = fl.Accumulator(fl.Poisson())
    elements.update_state(BITS[:3], SHARES[:3], ones)
    for merged, other in ((seen, elements), (elements, seen)):
        with pytest.raises(ValueError, match="in all batches or in none"):
            merged.merge_state([other])
    assert seen.to_dict() == before
    seen.update_state(BITS[:0], SHARES[:0], ones[:0])  # nothing is of neither kind
    single = fl.Accumulator(fl.Poisson())
    single.update_state(BITS[:, :1], SHARES[:, :1])  # nor are rows of one element
    single.update_state(BITS[:, :1], SHARES[:, :1], np.ones((ROWS, 1)))
    assert single.count == 2 * ROWS


@every_reduction
def test_batches_without_weights_weigh_one_each(reduction):
    loss = SPARSE(reduction=reduction)
    seen = fl.Accumulator(loss)
    seen.update_state(LABELS[:5], SHARES[:5])
    seen.update_state(LABELS[5:], SHARES[5:], WEIGHTS[5:], mask=MASK[5:])
    weight, mask = np.r_[np.ones(5), WEIGHTS[5:]], np.r_[np.ones(5, bool), MASK[5:]]
    assert seen.result() == pytest.approx(loss(LABELS, SHARES, weight, mask), rel=4 * EPS)


@every_reduction
def test_nothing_gives_zero(reduction):
    loss = SPARSE(reduction=reduction, ignore_class=-1)
    seen = fl.Accumulator(loss)
    assert (seen.result(), seen.count, seen.weight_sum) == (0.0, 0, 0.0)
    seen.update_state(np.empty(0, int), np.empty((0, CLASSES)))
    seen.update_state(np.full(5, -1), np.full((5, CLASSES), np.nan))
    seen.update_state(LABELS, np.full(SHARES.shape, np.nan), mask=np.zeros(ROWS))
    assert (seen.result(), seen.count, seen.weight_sum) == (0.0, 0, 0.0)


def test_weights_that_cancel_give_zero():
    quarter = np.array([[0.25, 0.75]])
    seen = fl.Accumulator(SPARSE(reduction="mean_with_sample_weight"))
    seen.update_state([0], quarter, [2.0])
    assert seen.result() == pytest.approx(math.log(4), rel=1e-15)
    seen.update_state([1], quarter, [-2.0])
    assert (seen.result(), seen.count, seen.weight_sum) == (0.0, 2, 0.0)


@every_reduction
def test_infinities_and_nan_are_not_lost(reduction):
    def update(logit):
        seen.update_state([[1.0]], np.array([[logit]]))
        again = fl.Accumulator.from_dict(json.loads(json.dumps(seen.to_dict(), allow_nan=False)))
        np.testing.assert_array_equal(again.result(), seen.result())
        return seen.result()

    seen = fl.Accumulator(BINARY(from_logits=True, reduction=reduction))
    assert update(0.0) == pytest.approx(math.log(2), rel=1e-15)
    assert update(-math.inf) == math.inf
    assert update(3.0) == math.inf
    negative = fl.Accumulator(seen.loss)
    negative.update_state([[1.0]], [[-math.inf]], [-0.5])
    assert math.isnan(update(math.nan))
    assert math.isnan(update(-math.inf))
    seen.reset_state()
    assert update(-math.inf) == math.inf
    seen.merge_state([negative])
    assert math.isnan(update(0.0))
    assert seen.count == 3


def test_nothing_overflows_between_batches():
    seen = fl.Accumulator(fl.Poisson(reduction="mean"))
    for _ in range(4):
        seen.update_state([[0.0]], np.array([[1.5e308]]))
    assert seen.result() == 1.5e308
    weighted = fl.Accumulator(fl.Poisson(reduction="mean_with_sample_weight"))
    for weight in (1e308, 1e308, 5e307):
        weighted.update_state([[0.0]], np.array([[1.5]]), weight)
    assert weighted.result() == 1.5
    assert weighted.weight_sum == math.inf


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_only_the_result_has_the_dtype_of_the_loss(dtype):
    seen = fl.Accumulator(fl.Poisson(reduction="sum", dtype=dtype))
    for _ in range(3000):
        seen.update_state([[0.0]], [[0.1]])
    assert seen.result().dtype == dtype
    working = np.float64 if dtype == "float64" else np.float32
    assert seen.result() == np.dtype(dtype).type(math.fsum([working(0.1)] * 3000))


def state(total, count, weight_sum):
    return {
        "class_name": "Poisson",
        "config": {"reduction": "mean_with_sample_weight"},
        "sum": [total],
        "count": count,
        "weight_sum": [weight_sum],
        "losses_of": None,
    }


@some
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 9), st.floats(0.5, 1e9)
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_merging_in_any_tree_gives_the_same_bits(states, random):
    parts = [fl.Accumulator.from_dict(state(*values)) for values in states]
    totals, counts, weights = zip(*states, strict=True)
    while len(parts) > 1:
        random.shuffle(parts)
        size = random.randint(1, len(parts) - 1)
        others, parts = parts[-size:], parts[:-size]
        parts[0].merge_state(iter(others))
    assert parts[0].count == sum(counts)
    total, weight = (sum(map(Fraction, values), Fraction(0)) for values in (totals, weights))
    assert parts[0].result() == float(total / weight)  # the nearest float64
    assert parts[0].weight_sum == math.fsum(weights)


def test_merged_accumulators_stay_as_they_are():
    loss = SPARSE(name="here")
    first = accumulated(loss, LABELS, SHARES)
    second = accumulated(SPARSE(name="there"), LABELS, SHARES, WEIGHTS)
    before = second.to_dict()
    first.merge_state([second, second, first])
    assert second.to_dict() == before
    assert first.count == 4 * ROWS
    assert first.loss is loss
    first.merge_state([])
    assert first.count == 4 * ROWS


@every_case
def test_copies_continue_on_their_own(name):
    cls, options, y_true, y_pred = CASES[name]
    seen = accumulated(cls(**options), y_true, y_pred, WEIGHTS)
    before = seen.result()
    for again in (
        pickle.loads(pickle.dumps(seen)),
        copy.deepcopy(seen),
        copy.copy(seen),
        fl.Accumulator.from_dict(json.loads(json.dumps(seen.to_dict(), allow_nan=False))),
    ):
        assert again.loss == seen.loss
        assert again.to_dict() == seen.to_dict()
        again.update_state(y_true, y_pred)
        assert seen.result() == before != again.result()
        assert again.count == 2 * seen.count


def test_processes_add_up_to_one():
    program = """
        import json, pickle
        import numpy as np
        import fastloss as fl

        seen = fl.Accumulator(fl.Poisson())
        for start in (0, 7):
            x = np.arange(start + 1.0, start + 8.0)[:, None]
            seen.update_state(x % 3, x, 1 / x[:, 0])
        print(json.dumps(seen.to_dict()))
        print(pickle.dumps(seen).hex())
    """
    written, pickled = run(program).split("\n")[:2]
    seen = fl.Accumulator(fl.Poisson())
    x = np.arange(15.0, 21.0)[:, None]
    seen.update_state(x % 3, x, 1 / x[:, 0])
    others = [fl.Accumulator.from_dict(json.loads(written)), pickle.loads(bytes.fromhex(pickled))]
    seen.merge_state(others)
    x = np.r_[1.0:21.0, 1.0:15.0][:, None]
    assert seen.result() == pytest.approx(fl.Poisson()(x % 3, x, 1 / x[:, 0]), rel=4 * EPS)
    assert seen.count == 34


@pytest.mark.parametrize("reduction", [None, "none"])
def test_a_loss_that_does_not_reduce_is_refused(reduction):
    with pytest.raises(ValueError, match='loss must have the reduction "sum"'):
        fl.Accumulator(fl.Poisson(reduction=reduction))


@pytest.mark.parametrize("loss", [fl.poisson, fl.Poisson, "poisson", None, fl.LinearCrossentropy()])
def test_anything_but_a_loss_is_refused(loss):
    with pytest.raises(TypeError, match="loss must be an instance of a loss class"):
        fl.Accumulator(loss)


def test_how_to_accumulate_a_linear_layer_is_said():
    message = r": pass SparseCategoricalCrossentropy\(from_logits=True\), and the logits inputs @"
    with pytest.raises(TypeError, match=message):
        fl.Accumulator(fl.LinearCrossentropy())


def test_a_batch_that_raises_adds_nothing():
    seen = accumulated(SPARSE(), LABELS, SHARES)
    before = seen.to_dict()
    with pytest.raises(ValueError, match=r"got 9 at row 1"):
        seen.update_state([0, 9], SHARES[:2])
    with pytest.raises(ValueError, match="sample_weight must"):
        seen.update_state([0, 1], SHARES[:2], np.ones(3))
    with pytest.raises(TypeError, match="y_pred must hold real numbers"):
        seen.update_state([0, 1], np.array([["a", "b"]]))
    assert seen.to_dict() == before


@pytest.mark.parametrize(
    "other", [SPARSE(ignore_class=0), SPARSE(reduction="sum"), SPARSE(dtype="float64"), DENSE()]
)
def test_merging_another_loss_adds_nothing(other):
    seen, own = fl.Accumulator(SPARSE()), accumulated(SPARSE(), LABELS, SHARES)
    with pytest.raises(ValueError, match="others must hold accumulators of Sparse"):
        seen.merge_state([own, fl.Accumulator(other)])
    assert seen.count == 0


def test_merging_anything_else_adds_nothing():
    seen, own = fl.Accumulator(SPARSE()), accumulated(SPARSE(), LABELS, SHARES)
    with pytest.raises(TypeError, match="others must be an iterable of accumulators, got one"):
        seen.merge_state(own)
    with pytest.raises(TypeError, match=r"others must hold accumulators, got 1\.5"):
        seen.merge_state([own, 1.5])
    assert seen.count == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more": 1}, "state must be a dict with the keys class_name, config, sum"),
        ({"class_name": "Hinge"}, "identifier must be"),
        ({"config": {"reduction": None}}, "loss must have the reduction"),
        ({"sum": 1.0}, "sum must be a list of numbers"),
        ({"weight_sum": ["inf"]}, "weight_sum must be a list of numbers"),
        ({"count": -1}, "count must be an integer, 0 or more"),
        ({"count": 1.0}, "count must be an integer, 0 or more"),
        ({"count": True}, "count must be an integer, 0 or more"),
        ({"losses_of": "columns"}, 'losses_of must be "rows", "elements" or None'),
    ],
)
def test_a_state_of_another_form_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        fl.Accumulator.from_dict(state(1.0, 2, 3.0) | change)


@pytest.mark.parametrize("given", [None, [], "{}", {"sum": [1.0]}])
def test_a_state_is_a_dict(given):
    with pytest.raises(ValueError, match="state must be a dict with the keys"):
        fl.Accumulator.from_dict(given)


def test_the_text_shows_the_state():
    seen = accumulated(fl.Poisson(), BITS, SHARES)
    text = repr(seen)
    assert repr(seen.loss) in text
    assert str(ROWS) in text
    assert repr(float(seen.result())) in text
