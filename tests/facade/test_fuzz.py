"""Calls put together at random, good parts and bad: the value of the plain form, or words."""

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastloss as fl
from fastloss.selfcheck import reference

LOSSES = {
    "binary_crossentropy": ["from_logits", "label_smoothing", "axis", "pos_weight"],
    "categorical_crossentropy": ["from_logits", "label_smoothing", "axis", "class_weight"],
    "sparse_categorical_crossentropy": ["from_logits", "ignore_class", "axis", "class_weight"],
    "poisson": [],
    "kl_divergence": [],
}
# fmt: off
NAMES = ("y_true", "y_pred", "sample_weight", "mask", "upstream", "out", "axis", "from_logits",
         "label_smoothing", "ignore_class", "class_weight", "pos_weight", "reduction", "dtype")
# fmt: on
ODD_THINGS = st.sampled_from([None, True, "abc", 1.5, -7, 2**70, np.nan, [], (), {}, [1, 2], b"x"])
DTYPES = st.sampled_from(["f2", "f4", "f8", ">f4", "i1", "u8", "i4", "?", "longdouble"])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def arrays(draw, shape, low=-3, high=9):
    """Draw an array of some dtype, sometimes with steps between its elements or backwards."""
    values = draw(
        hnp.arrays(np.float64, shape, elements=st.integers(4 * low, 4 * high), fill=st.just(1))
    )
    array = (values / 4).astype(draw(DTYPES)) if low >= 0 else (values / 4).astype("f4")
    for axis in range(array.ndim):
        step = draw(st.sampled_from([1, 1, 2, -1]))
        if step == 2:
            array = np.repeat(array, 2, axis)
        array = array[(slice(None),) * axis + (slice(None, None, step),)]
    return array


@st.composite
def options(draw, loss, shape):
    """Draw some options of a loss, nearly all of them legal."""
    axis = st.integers(-len(shape) or -1, max(len(shape) - 1, 0))
    lengths = st.sampled_from([*shape[-1:] * 3, 0, 1, 4])
    length = lengths.map(lambda n: np.linspace(0.5, 2, n))
    good = {
        "from_logits": st.booleans(),
        "label_smoothing": st.floats(0, 1),
        "ignore_class": st.integers(-2, 5),
        "axis": axis
        if loss != "binary_crossentropy"
        else axis | st.none() | st.lists(axis, max_size=3),
        "class_weight": length,
        "pos_weight": st.floats(0, 3) | length,
    }
    chosen = (
        draw(st.lists(st.sampled_from(LOSSES[loss] or [""]), unique=True)) if LOSSES[loss] else []
    )
    return {name: draw(good[name] if draw(st.integers(0, 9)) else ODD_THINGS) for name in chosen}


@st.composite
def calls(draw):
    """Draw (loss, y_true, y_pred, options, what value_and_grad takes besides)."""
    loss = draw(st.sampled_from(list(LOSSES)))
    shape = draw(SHAPES)
    y_pred = draw(arrays(shape))
    given = draw(options(loss, shape))
    axis = given.get("axis", -1)
    fitting = shape
    if (
        loss.startswith("sparse")
        and shape
        and isinstance(axis, int)
        and -len(shape) <= axis < len(shape)
    ):
        fitting = tuple(n for i, n in enumerate(shape) if i != axis % len(shape))
    y_true = draw(arrays(fitting if draw(st.integers(0, 9)) else draw(SHAPES), 0, 4))
    more = {}
    for name in draw(
        st.lists(
            st.sampled_from(["sample_weight", "mask", "reduction", "dtype", "out"]), unique=True
        )
    ):
        some = {
            "sample_weight": arrays(draw(SHAPES) if draw(st.booleans()) else fitting[:1], 0, 2),
            "mask": hnp.arrays(np.bool_, fitting[:1]),
            "reduction": st.sampled_from(
                [None, "none", "sum", "mean", "mean_with_sample_weight", "auto"]
            ),
            "dtype": st.sampled_from(["float16", "float32", "float64", None]),
            "out": st.just(y_pred) | arrays(shape),
        }[name]
        more[name] = draw(some if draw(st.integers(0, 9)) else ODD_THINGS)
    return loss, y_true, y_pred, given, more


def known_to_the_plain_form(loss, y_pred, given):
    """Probabilities that add up to 0 are 0 / 0 there; and it has pos_weight for one axis only."""
    axis = given.get("axis", -1)
    if loss == "binary_crossentropy":
        return "pos_weight" not in given or isinstance(axis, int)
    by_probability = "categorical" in loss and not given.get("from_logits")
    return not by_probability or bool(np.all(np.sum(y_pred, axis, np.float64)))


@settings(
    deadline=None, max_examples=400, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(call=calls())
def test_a_value_or_words(call):
    loss, y_true, y_pred, given, more = call
    before = y_true.copy(), y_pred.copy()
    out = more.get("out")
    held = out.copy() if isinstance(out, np.ndarray) else None
    said = None
    try:
        value, grad = fl.value_and_grad(getattr(fl, loss))(y_true, y_pred, **given, **more)
    except (ValueError, TypeError) as error:
        said = error
    if said is not None:
        event("words")
        assert type(said) in (ValueError, TypeError)
        assert any(name in str(said) for name in NAMES), said
        assert "got" in str(said)
        assert held is None or out.tobytes() == held.tobytes()
        return
    event("a value")
    assert y_true.tobytes() == before[0].tobytes()
    assert out is not None or y_pred.tobytes() == before[1].tobytes()
    assert grad.shape == y_pred.shape
    if more.keys() <= {"out"} and known_to_the_plain_form(loss, before[1], given):
        event("compared")
        expected, slope = getattr(reference, loss)(*before, **given, working=grad.dtype)
        close = {"rtol": 1e-3 if grad.itemsize == 2 else 2e-5, "atol": 1e-5}
        np.testing.assert_allclose(value, expected, **close)
        if value.dtype == grad.dtype:
            np.testing.assert_allclose(grad, slope, **close)


@pytest.mark.hardening
@settings(deadline=None, max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(call=calls())
def test_a_value_or_words_at_length(call):
    test_a_value_or_words.hypothesis.inner_test(call)
