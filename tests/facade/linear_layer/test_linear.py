"""The crossentropy of a linear layer: held against its formula, in blocks of any size."""

import pickle
import subprocess
import sys
import tracemalloc

import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastloss as fl

VALUE_AND_GRAD = fl.value_and_grad(fl.linear_crossentropy)
WIDE = np.longdouble


def problem(rows=11, d=5, classes=7, dtype=np.float64, seed=0):
    """Return labels, inputs, kernel and bias."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, classes, rows),
        rng.standard_normal((rows, d)).astype(dtype),
        rng.standard_normal((d, classes)).astype(dtype),
        rng.standard_normal(classes).astype(dtype),
    )


def formula(y, x, kernel, bias, factor, smoothing=0.0, class_weight=None, u=2.0**-53):
    """Return ({name: wanted}, {name: bound}) for the losses and the gradients.

    t = (1 - s) onehot + s / C, times the class weights; loss = sum t (lse z - z);
    d loss / d z = p sum t - t. factor is d result / d loss of each row, 0 for rows left out.

    The bounds are those of the docstring: a logit's (d + 1) u sum |x w|, carried on through
    softmax, whose derivatives are at most 1; 4 ulp; and that of BLAS' sums.
    """
    x, kernel, bias = (np.asarray(a).astype(WIDE) for a in (x, kernel, bias))
    counts = np.asarray(factor) != 0
    x = np.where(counts[:, None], x, 0)
    y = np.where(counts, y, 0).astype(int)
    factor = np.asarray(factor).astype(WIDE)[:, None]
    rows, (d, classes) = len(y), kernel.shape
    z = x @ kernel + bias
    shifted = z - z.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    gaps = np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted
    t = (1 - WIDE(smoothing)) * np.eye(classes, dtype=WIDE)[y] + WIDE(smoothing) / classes
    if class_weight is not None:
        t = t * np.asarray(class_weight).astype(WIDE)
    total = t.sum(axis=1, keepdims=True)
    losses = (t * gaps).sum(axis=1)
    g = factor * (p * total - t)
    z_bound = ((d + 2) * u * (abs(x) @ abs(kernel) + abs(bias))).max(axis=1, keepdims=True)
    loss_bound = (2 * total * z_bound)[:, 0] + 8 * u * losses
    g_bound = abs(factor) * 2 * total * z_bound + 16 * u * abs(g)
    wanted = {
        "loss": np.where(counts, losses, 0),
        "inputs": g @ kernel.T,
        "kernel": x.T @ g,
        "bias": g.sum(axis=0),
    }
    bounds = {
        "loss": np.where(counts, loss_bound, 0),
        "inputs": g_bound @ abs(kernel.T) + (classes + 4) * u * (abs(g) @ abs(kernel.T)),
        "kernel": abs(x.T) @ g_bound + (rows + 4) * u * (abs(x.T) @ abs(g)),
        "bias": g_bound.sum(axis=0) + (rows + 4) * u * abs(g).sum(axis=0),
    }
    return wanted, bounds


def check_gradients(grads, wanted, bounds):
    for name, grad in grads._asdict().items():
        if grad is not None:
            got = grad.astype(WIDE).reshape(wanted[name].shape)
            assert (abs(got - wanted[name]) <= bounds[name]).all(), name


def check(y, x, kernel, bias, u=2.0**-53, **options):
    """Hold the unreduced losses and all gradients against the formula."""
    losses, grads = VALUE_AND_GRAD(y, x, kernel, bias, **options)
    flat = np.reshape(np.asarray(x, WIDE), (-1, np.shape(x)[-1]))
    wanted, bounds = formula(np.ravel(y), flat, kernel, bias, np.ones(len(flat)), u=u)
    assert (abs(losses.astype(WIDE).ravel() - wanted["loss"]) <= bounds["loss"]).all()
    check_gradients(grads, wanted, bounds)
    return losses, grads


@pytest.mark.parametrize("block_rows", [1, 7, None])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_losses_and_gradients_are_the_formula(dtype, block_rows):
    arrays = problem(23, dtype=dtype)
    losses, grads = check(*arrays, u=np.finfo(dtype).eps / 2, block_rows=block_rows)
    assert losses.dtype == dtype
    for grad, array in zip(grads, arrays[1:], strict=True):
        assert (grad.dtype, grad.shape) == (array.dtype, array.shape)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_many_blocks_of_many_classes(dtype):
    """More rows than a block of each limit holds, and kernels of several strips."""
    check(*problem(4500, 3, 2))
    check(*problem(600, 3, 1200, dtype), u=np.finfo(dtype).eps / 2)
    check(*problem(7, 2100, 1200, dtype), u=np.finfo(dtype).eps / 2, block_rows=3)


def test_confident_rows_keep_their_digits():
    """Whole numbers make exact logits; the losses are within 4 ulp of mpmath's."""
    x, kernel = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]]), np.array([[20.0, -20], [10, -30]])
    y = np.array([0, 0, 0])
    losses = fl.linear_crossentropy(y, x, kernel)
    with mpmath.workdps(50):
        for row, loss in zip(x @ kernel, losses, strict=True):
            truth = mpmath.log1p(mpmath.exp(mpmath.mpf(row[1]) - mpmath.mpf(row[0])))
            assert abs(loss - truth) <= 4 * np.spacing(float(truth))


@st.composite
def calls(draw):
    """Return the arrays, the options and the row factors of a call with everything drawn."""
    rows, classes = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    y, x, kernel, bias = problem(rows, draw(st.integers(0, 4)), classes, seed=draw(st.integers(0)))

    def bits():
        return np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))

    options = {
        "label_smoothing": draw(st.sampled_from([0.0, 0.25, 1.0])),
        "reduction": draw(st.sampled_from([None, "sum", "mean", "mean_with_sample_weight"])),
        "block_rows": draw(st.integers(1, 13)),
    }
    valid, weight = np.ones(rows, bool), np.ones(rows)
    if draw(st.booleans()):
        options["class_weight"] = np.linspace(0.5, 2.0, classes)
    if draw(st.booleans()):
        options["mask"] = bits()
        valid &= options["mask"]
    if draw(st.booleans()):
        ignored = bits()
        y[ignored], options["ignore_class"] = -7, -7
        valid &= ~ignored
    if draw(st.booleans()):
        weight = options["sample_weight"] = np.where(bits(), 1.5, 0.0) + bits()
    return (y, x, kernel, bias), options, valid, weight


@given(calls())
@settings(max_examples=150, deadline=None)
def test_any_combination_of_options_is_the_formula(call):
    (y, x, kernel, bias), options, valid, weight = call
    smoothing, class_weight = options["label_smoothing"], options.get("class_weight")
    x[~valid] = np.nan
    x[weight == 0] = np.inf
    row_weight = np.where(valid, weight, 0.0)
    counted = row_weight
    if class_weight is not None:
        counted = row_weight * class_weight[np.where(valid, y, 0)]
    divisor = {None: 1, "sum": 1, "mean": valid.sum(), "mean_with_sample_weight": counted.sum()}
    if not ({"sample_weight", "class_weight"} & set(options)):
        divisor["mean_with_sample_weight"] = valid.sum()
    share = divisor[options["reduction"]]
    factor = row_weight / share if share else np.zeros(len(y))
    wanted, bounds = formula(y, x, kernel, bias, factor, smoothing, class_weight)
    value, grads = VALUE_AND_GRAD(y, x, kernel, bias, **options)
    check_gradients(grads, wanted, bounds)
    losses, error = row_weight * wanted["loss"], row_weight * bounds["loss"]
    if options["reduction"] is not None:
        losses, error = factor @ wanted["loss"], factor @ bounds["loss"] + 1e-15 * abs(value)
    assert (abs(value - losses) <= error + 2.0**-52 * abs(losses)).all()
    assert np.array_equal(grads.inputs[factor == 0], np.zeros_like(x[factor == 0]))


def test_gradients_are_those_of_the_value():
    y, *arrays = problem()
    rng = np.random.default_rng(1)
    _, grads = VALUE_AND_GRAD(y, *arrays, reduction="mean", upstream=3.0)
    step = 1e-5
    for place, grad in enumerate(grads):
        direction = rng.standard_normal(grad.shape)
        values = []
        for sign in (-1, 1):
            moved = list(arrays)
            moved[place] = arrays[place] + sign * step * direction
            values.append(float(fl.LinearCrossentropy()(y, *moved)))
        slope = 3.0 * (values[1] - values[0]) / (2 * step)
        assert np.sum(grad * direction) == pytest.approx(slope, rel=1e-7)


def test_unreduced_upstream_weighs_rows():
    y, x, kernel, bias = problem()
    upstream = np.linspace(-1, 1, len(y))
    losses, grads = VALUE_AND_GRAD(y, x, kernel, bias, upstream=upstream)
    check_gradients(grads, *formula(y, x, kernel, bias, upstream))
    assert np.array_equal(losses, fl.linear_crossentropy(y, x, kernel, bias))


@pytest.mark.parametrize("name", ["mask", "sample_weight", "ignore_class"])
@pytest.mark.parametrize("junk", [np.nan, np.inf])
def test_rows_left_out_change_nothing(name, junk):
    y, x, kernel, bias = problem(40)
    counts = np.arange(40) % 3 > 0
    expected = VALUE_AND_GRAD(y[counts], x[counts], kernel, bias, reduction="sum", block_rows=8)
    x[~counts] = junk
    option = {"mask": counts, "sample_weight": counts * 1.0, "ignore_class": -1}[name]
    if name != "sample_weight":
        y[~counts] = -1
    value, grads = VALUE_AND_GRAD(
        y, x, kernel, bias, reduction="sum", block_rows=8, **{name: option}
    )
    assert value == expected[0]
    assert np.array_equal(grads.kernel, expected[1].kernel)
    assert np.array_equal(grads.bias, expected[1].bias)
    assert np.array_equal(grads.inputs[counts], expected[1].inputs)
    assert not grads.inputs[~counts].any()


def test_nan_stays_in_its_row():
    y, x, kernel, bias = problem()
    x[3, 0] = np.nan
    losses, grads = VALUE_AND_GRAD(y, x, kernel, bias)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]
    assert np.flatnonzero(np.isnan(grads.inputs).any(axis=1)).tolist() == [3]
    assert np.isnan(grads.bias).all()


EVERYTHING_MASKED = {"mask": np.zeros(4, bool), "reduction": "mean"}


@pytest.mark.parametrize(
    ("shape", "classes", "options", "value"),
    [
        ((0, 3), 4, {"reduction": "mean"}, 0.0),
        ((2, 0, 3), 4, {"reduction": "sum"}, 0.0),
        ((5, 0), 4, {"reduction": "mean"}, np.log(4.0)),
        ((5, 3), 1, {"reduction": "mean"}, 0.0),
        ((4, 3), 2, EVERYTHING_MASKED, 0.0),
        ((4, 3), 2, {"sample_weight": 0.0, "reduction": "mean_with_sample_weight"}, 0.0),
    ],
)
def test_edges(shape, classes, options, value):
    """No rows, no inputs, one class, nothing that counts."""
    x, kernel = np.ones(shape, np.float32), np.ones((shape[-1], classes), np.float32)
    y, bias = np.zeros(shape[:-1], int), np.zeros(classes, np.float32)
    out = fl.LinearGradients(*(np.full_like(a, 7.0) for a in (x, kernel, bias)))
    got, grads = VALUE_AND_GRAD(y, x, kernel, bias, out=out, **options)
    assert got == pytest.approx(value, rel=1e-6)
    if classes < 4 or x.size == 0 == len(y):
        assert not any(grad.any() for grad in grads)
    assert fl.linear_crossentropy(y, x, kernel).shape == shape[:-1]


def test_shapes_of_one_row_and_of_three_axes():
    y, x, kernel, bias = problem(12)
    flat = VALUE_AND_GRAD(y, x, kernel, bias)
    losses, grads = VALUE_AND_GRAD(y.reshape(3, 4, 1), x.reshape(3, 4, 5), kernel, bias)
    assert np.array_equal(losses, flat[0].reshape(3, 4))
    assert np.array_equal(grads.inputs, flat[1].inputs.reshape(3, 4, 5))
    assert np.array_equal(grads.kernel, flat[1].kernel)
    loss, grads = VALUE_AND_GRAD(y[0], x[0], kernel, bias)
    assert loss.shape == ()
    check_gradients(grads, *formula(y[:1], x[:1], kernel, bias, np.ones(1)))


def spread(array, whole, index):
    """Return `array` as the view `index` of an array of the shape `whole`."""
    view = np.full(whole, 99, array.dtype)[index]
    view[...] = array
    return view


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array):
    view = array.copy()
    view.flags.writeable = False
    return view


LAYOUTS = {
    "fortran": lambda a: np.array(a, order="F"),
    "steps": lambda a: spread(a, (2 * a.shape[0], 3 * a.shape[1]), np.s_[::2, ::3]),
    "gaps": lambda a: spread(a, (a.shape[0], a.shape[1] + 3), np.s_[:, :-3]),
    "backward": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "read-only": read_only,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_layouts(layout, dtype):
    y, x, kernel, bias = problem(9, dtype=dtype)
    moved = LAYOUTS[layout]
    u = np.finfo(dtype).eps / 2
    check(moved(y[:, None])[:, 0], moved(x), moved(kernel), moved(bias[None])[0], u=u, block_rows=4)
    if layout in ("fortran", "steps", "gaps", "backward", "unaligned"):
        out = fl.LinearGradients(moved(x), moved(kernel), moved(bias[None])[0])
        _, grads = check(y, x, kernel, bias, u=u, block_rows=4, out=out)
        assert all(grad is array for grad, array in zip(grads, out, strict=True))


def test_all_but_the_last_step_of_a_sequence():
    y, x, kernel, bias = problem(30)
    y, steps = y.reshape(5, 6), x.reshape(5, 6, 5)
    check(y[:, :-1], steps[:, :-1], kernel, bias, block_rows=7)
    out = fl.LinearGradients(inputs=np.full_like(steps, 7.0)[:, 1:])
    check(y[:, 1:], steps[:, 1:], kernel, bias, block_rows=7, out=out)
    assert (out.inputs.base[:, 0] == 7.0).all()


def test_a_repeated_row_is_read_where_it_lies():
    y, x, kernel, bias = problem(6)
    check(y, np.broadcast_to(x[0], x.shape), kernel, bias)


def test_inputs_become_their_gradient():
    y, x, kernel, bias = problem(20)
    mask = np.arange(20) % 4 > 0
    for options in ({}, {"mask": mask}):
        value, grads = VALUE_AND_GRAD(y, x, kernel, bias, block_rows=6, **options)
        place = x.copy()
        again = VALUE_AND_GRAD(
            y, place, kernel, bias, block_rows=6, out=fl.LinearGradients(place), **options
        )
        assert np.array_equal(again[0], value)
        assert again[1].inputs is place
        for a, b in zip(again[1], grads, strict=True):
            assert np.array_equal(a, b)


def test_the_result_of_a_call_is_the_out_of_the_next():
    y, x, kernel, bias = problem()
    _, first = VALUE_AND_GRAD(y, x, kernel, bias, wrt=["kernel", "bias"])
    expected = first.kernel.copy(), first.bias.copy()
    _, second = VALUE_AND_GRAD(y, x, kernel, bias, wrt=("kernel", "bias"), out=first)
    assert second.inputs is None
    assert second.kernel is first.kernel
    assert second.bias is first.bias
    assert np.array_equal(second.kernel, expected[0])
    assert np.array_equal(second.bias, expected[1])


@pytest.mark.parametrize("wrt", ["inputs", "kernel", "bias", ("bias", "inputs"), ()])
def test_wrt_changes_no_bits(wrt):
    arguments = problem()
    value, grads = VALUE_AND_GRAD(*arguments)
    again, wanted = VALUE_AND_GRAD(*arguments, wrt=wrt)
    assert np.array_equal(value, again)
    for name, grad in grads._asdict().items():
        if name in wrt:
            assert np.array_equal(getattr(wanted, name), grad)
        else:
            assert getattr(wanted, name) is None


def test_without_a_bias():
    y, x, kernel, _ = problem()
    _, grads = VALUE_AND_GRAD(y, x, kernel)
    wanted, bounds = formula(y, x, kernel, np.zeros(7), np.ones(len(y)))
    check_gradients(grads, wanted, bounds)
    assert grads.bias is None


@pytest.mark.parametrize(
    ("inputs", "kernel", "bias", "dtype", "output"),
    [
        ("f4", "f4", "f4", None, "f4"),
        ("f4", "f8", "f4", None, "f8"),
        ("f8", "f4", "f4", None, "f8"),
        ("f4", "f4", "f8", None, "f8"),
        ("f2", "f2", "f2", None, "f4"),
        ("f2", "f8", "f4", None, "f8"),
        ("i4", "f4", "i8", None, "f4"),
        ("f8", "f8", "f8", "float32", "f4"),
        ("f4", "f4", "f4", "float64", "f8"),
        ("f4", "f4", "f4", "float16", "f2"),
        ("bfloat16", "bfloat16", "bfloat16", None, "f4"),
        ("bfloat16", "f4", "f4", "bfloat16", "bfloat16"),
    ],
)
def test_dtypes(inputs, kernel, bias, dtype, output):
    ml_dtypes = pytest.importorskip("ml_dtypes")

    def named(name):
        return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)

    y, *arrays = problem()
    types = map(named, (inputs, kernel, bias))
    arrays = [np.rint(4 * a).astype(t) for a, t in zip(arrays, types, strict=True)]
    losses, grads = VALUE_AND_GRAD(y, *arrays, dtype=dtype)
    unit = float(ml_dtypes.finfo(named(output)).eps)
    wanted, bounds = formula(
        y, *arrays, np.ones(len(y)), u=2.0**-24 if output != "f8" else 2.0**-53
    )
    assert losses.dtype == named(output)
    for name, grad in grads._asdict().items():
        assert grad.dtype == named(output)
        bounds[name] = bounds[name] + unit * abs(wanted[name]) + 1e-7
    check_gradients(grads, wanted, bounds)


def test_lists_are_float32():
    loss = fl.linear_crossentropy([1], [[1.0, 2.0]], [[0.0, 1.0], [0.0, 0.0]], [0.0, 0.0])
    assert loss.dtype == np.float32
    assert loss == pytest.approx([np.log1p(np.exp(-1.0))], rel=1e-6)


def test_a_gradient_may_stay_in_half_precision():
    y, *arrays = problem()
    halves = [a.astype(np.float16) for a in arrays]
    out = fl.LinearGradients(*map(np.empty_like, halves))
    _, grads = VALUE_AND_GRAD(y, *halves, out=out)
    _, single = VALUE_AND_GRAD(y, *halves)
    for half, grad in zip(grads, single, strict=True):
        assert half.dtype == np.float16
        assert np.array_equal(half, grad.astype(np.float16))


def test_no_array_has_all_logits():
    rows, classes = 20_000, 500
    y, x, kernel, bias = problem(rows, 4, classes, np.float32)
    VALUE_AND_GRAD(y[:10], x[:10], kernel, bias)
    tracemalloc.start()
    VALUE_AND_GRAD(y, x, kernel, bias)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows * classes  # a quarter of the logits' bytes


def test_bits_do_not_depend_on_the_number_of_our_threads():
    arguments = problem(300, 8, 400, np.float32)
    results = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            results.append(VALUE_AND_GRAD(*arguments))
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    (value, grads), (again, others) = results
    assert np.array_equal(value, again)
    for a, b in zip(grads, others, strict=True):
        assert np.array_equal(a, b)


def test_no_thread_of_ours_waits_while_blas_computes():
    """Threads of two libraries that wait in busy loops would take each other's cores."""
    program = """
import numba, numpy as np, fastloss as fl
x, kernel = np.ones((600, 8), np.float32), np.ones((8, 400), np.float32)
fl.value_and_grad(fl.linear_crossentropy)(np.zeros(600, int), x, kernel, reduction="mean")
try:
    print(numba.threading_layer())
except ValueError:
    print("none")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": np.float64(1)}, r"inputs must have the shape \(\.\.\., d\), got shape \(\)"),
        ({"kernel": np.ones((7, 5))}, r"kernel must have the shape \(5, C\) .* pass kernel\.T"),
        ({"kernel": np.ones(5)}, r"kernel must have the shape \(5, C\) .* got \(5,\)"),
        ({"bias": np.ones(5)}, r"bias must have the shape \(7,\) .* got \(5,\)"),
        ({"bias": np.ones((1, 7))}, r"bias must have the shape \(7,\)"),
        ({"y_true": np.zeros(3, int)}, r"y_true must have the shape \(11,\) or \(11, 1\)"),
        ({"y_true": np.full(11, 7)}, r"labels in \[0, 7\).*got 7 at row 0"),
        ({"block_rows": 0}, "block_rows must be a positive integer"),
        ({"block_rows": 2.5}, "block_rows must be a positive integer"),
        ({"wrt": "weights"}, "wrt must name inputs, kernel or bias, got 'weights'"),
        ({"bias": None, "wrt": "bias"}, "bias is None"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
        ({"upstream": np.ones(3)}, "upstream must have the shape of the result"),
        ({"class_weight": np.ones(3)}, "class_weight must .*one weight for each of the 7"),
        ({"label_smoothing": 2.0}, "label_smoothing must be a number in"),
    ],
)
def test_errors_name_what_would_fit(change, message):
    arguments = dict(zip(("y_true", "inputs", "kernel", "bias"), problem(), strict=True))
    with pytest.raises(ValueError, match=message):
        VALUE_AND_GRAD(**{**arguments, **change})


def outs(**arrays):
    """Return a function from (x, kernel, bias) to a LinearGradients with these views of them."""
    return lambda *given: fl.LinearGradients(**{k: make(*given) for k, make in arrays.items()})


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (lambda x, k, b: [x, k, b], TypeError, "out must be a LinearGradients, got list"),
        (outs(kernel=lambda x, k, b: k.tolist()), TypeError, "out.kernel must be a NumPy array"),
        (outs(kernel=lambda x, k, b: k.T.copy()), ValueError, r"out.kernel .* \(5, 7\), got \(7"),
        (outs(bias=lambda x, k, b: b.astype("f4")), ValueError, "out.bias must have native dtype"),
        (outs(bias=lambda x, k, b: read_only(b)), ValueError, "out.bias must be writeable"),
        (
            outs(kernel=lambda x, k, b: k),
            ValueError,
            "out.kernel must overlap no other argument, but",
        ),
        (outs(bias=lambda x, k, b: x[0].repeat(2)[:7]), None, ""),
        (
            outs(bias=lambda x, k, b: k[0]),
            ValueError,
            "out.bias must overlap no other argument, but",
        ),
        (outs(inputs=lambda x, k, b: x[::-1]), ValueError, "inputs itself or overlap no input"),
        (
            outs(inputs=lambda x, k, b: x, bias=lambda x, k, b: x.reshape(-1)[:7]),
            ValueError,
            "out.bias must overlap no other argument, but overlaps inputs",
        ),
    ],
)
def test_out_is_checked(out, error, message):
    y, x, kernel, bias = problem()
    given = out(x, kernel, bias)
    if error is None:
        VALUE_AND_GRAD(y, x, kernel, bias, out=given)
        return
    before = x.copy(), kernel.copy(), bias.copy()
    with pytest.raises(error, match=message):
        VALUE_AND_GRAD(y, x, kernel, bias, out=given)
    for array, copy in zip((x, kernel, bias), before, strict=True):
        assert np.array_equal(array, copy)


def test_gradients_share_no_memory():
    y, x, kernel, bias = problem(5, 7, 7)
    both = np.zeros((7, 7))
    with pytest.raises(ValueError, match=r"out\.bias .* but overlaps out\.kernel"):
        VALUE_AND_GRAD(y, x, kernel, bias, out=fl.LinearGradients(None, both, both[0]))


def test_out_for_a_gradient_that_is_not_wanted():
    arguments = problem()
    out = fl.LinearGradients(bias=np.empty(7))
    with pytest.raises(ValueError, match=r"out\.bias must be None"):
        VALUE_AND_GRAD(*arguments, wrt="kernel", out=out)


def test_a_bad_label_in_the_last_block_leaves_out_unchanged():
    y, x, kernel, bias = problem()
    y[-1] = 7
    out = fl.LinearGradients(*(np.full_like(a, 3.0) for a in (x, kernel, bias)))
    with pytest.raises(ValueError, match="got 7 at row 10"):
        VALUE_AND_GRAD(y, x, kernel, bias, out=out, block_rows=2)
    assert all((array == 3.0).all() for array in out)


def test_a_bad_label_may_be_masked_but_not_weighed_0():
    y, x, kernel, bias = problem()
    y[2], counts = 9, np.arange(len(y)) != 2
    VALUE_AND_GRAD(y, x, kernel, bias, mask=counts)
    with pytest.raises(ValueError, match="got 9 at row 2"):
        VALUE_AND_GRAD(y, x, kernel, bias, sample_weight=counts * 1.0)


def test_value_and_grad_can_be_pickled():
    assert pickle.loads(pickle.dumps(VALUE_AND_GRAD)) is VALUE_AND_GRAD


def test_the_class_reduces_like_every_loss():
    y, x, kernel, bias = problem()
    weight = np.linspace(0, 2, len(y))
    loss = fl.LinearCrossentropy(ignore_class=3, block_rows=4)
    value, grads = loss.value_and_grad(y, x, kernel, bias, weight, wrt="bias", upstream=2.0)
    assert value == loss(y, x, kernel, bias, weight)
    factor = 2.0 * np.where(y == 3, 0.0, weight) / np.sum(y != 3)
    wanted, bounds = formula(y, x, kernel, bias, factor)
    check_gradients(grads, wanted, bounds)
    assert float(value) == pytest.approx(float(factor @ wanted["loss"] / 2), rel=1e-12)
    unreduced = fl.LinearCrossentropy(reduction=None, dtype="float32")
    assert unreduced(y, x, kernel, bias).dtype == np.float32
    out = fl.LinearGradients(bias=np.empty(7))
    assert loss.value_and_grad(y, x, kernel, bias, wrt="bias", out=out)[1].bias is out.bias


def test_class_weights_may_be_a_mapping():
    arguments = problem()
    weights = np.ones(7)
    weights[2] = 3.0
    value, grads = VALUE_AND_GRAD(*arguments, class_weight={2: 3.0})
    again, others = VALUE_AND_GRAD(*arguments, class_weight=weights)
    assert np.array_equal(value, again)
    assert np.array_equal(grads.kernel, others.kernel)
    mapped = fl.LinearCrossentropy(class_weight={2: 3.0})
    assert fl.LinearCrossentropy.from_config(mapped.get_config()) == mapped


def test_the_class_is_its_configuration():
    loss = fl.LinearCrossentropy(class_weight=np.array([1.0, 2.0]), block_rows=64, reduction="sum")
    again = fl.LinearCrossentropy.from_config(loss.get_config())
    assert again == loss == pickle.loads(pickle.dumps(loss))
    assert hash(again) == hash(loss)
    assert loss.get_config()["block_rows"] == 64
    assert fl.LinearCrossentropy().name == "linear_crossentropy"
    for bad in ({"block_rows": 0}, {"label_smoothing": 2.0}, {"reduction": "max"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            fl.LinearCrossentropy(**bad)
