"""What the engine checks itself: labels before the first store, and all that `run` is given."""

import fastloss_kernels as kernels
import numpy as np
import pytest

import fastloss as fl
from fastloss import evaluate

SPARSE = [
    (kernels.softmax_crossentropy_sparse, ()),
    (kernels.probability_crossentropy_sparse, (1e-7,)),
]
STRAY = [-(2**63), -(2**32), -(2**31), -100, -1, 5, 6, 127, 255, 2**31, 2**32, 2**32 + 1, 2**63 - 1]
every_kernel = pytest.mark.parametrize(("kernel", "numbers"), SPARSE, ids=["logits", "shares"])
one, every = np.ones(1), np.ones(1, bool)


@every_kernel
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", STRAY)
@pytest.mark.parametrize("row", [0, 3, 39])
def test_the_first_stray_label_is_returned_and_nothing_written(kernel, numbers, dtype, label, row):
    x = np.random.default_rng(0).random((40, 5, 1)).astype(dtype)
    labels = np.arange(40) % 5
    labels[row] = labels[-1] = label
    loss, grad = np.full(40, 7, dtype), np.full_like(x, 7)
    before = x.copy()
    for gradient in (grad, None, x):
        bad = kernels.run(kernel, x, labels, *numbers, one, every, loss, gradient)
        assert bad == row
        assert (loss == 7).all()
    assert (grad == 7).all()
    np.testing.assert_array_equal(x, before)
    keep = np.arange(40) != row
    keep[-1] = False
    assert kernels.run(kernel, x, labels, *numbers, one, keep, loss, grad) == -1
    assert loss[row] == 0
    assert not grad[row].any()
    assert (loss[keep] != 7).all()


N, C = 6, 4  # rows and classes below
NAMES = {
    kernels.softmax_crossentropy_sparse: ("labels",),
    kernels.softmax_crossentropy_dense: ("targets", "class_weight", "smoothing"),
    kernels.probability_crossentropy_sparse: ("labels", "eps"),
    kernels.probability_crossentropy_dense: ("targets", "class_weight", "smoothing", "eps"),
    kernels.softmax_crossentropy_smoothed: ("labels", "class_weight", "smoothing"),
    kernels.probability_crossentropy_smoothed: ("labels", "class_weight", "smoothing", "eps"),
    kernels.binary_crossentropy_logits: ("targets", "pos_weight", "smoothing"),
    kernels.binary_crossentropy: ("targets", "pos_weight", "smoothing", "eps"),
    kernels.poisson: ("targets", "eps"),
    kernels.poisson_log_rates: ("targets",),
    kernels.kullback_leibler: ("targets", "eps"),
}
NAMES = {kernel: ("x", *names, "scale", "keep", "loss", "grad") for kernel, names in NAMES.items()}


def good(kernel, dtype=np.float32):
    """Return arguments that fit: loss and grad hold 7, to show what was written."""
    working = np.float64 if dtype == np.float64 else np.float32
    shape = (N // 2, C, 2)
    values = {
        "x": np.ones(shape, dtype),
        "labels": np.arange(N) % C,
        "targets": np.full(shape, 0.5, working),
        "class_weight": np.ones(C, working),
        "pos_weight": np.ones(C, working),
        "smoothing": 0.25,
        "eps": 1e-7,
        "scale": np.ones(N),
        "keep": np.ones(N, bool),
        "loss": np.full(N, 7, working),
        "grad": np.full(shape, 7, dtype),
    }
    return {name: values[name] for name in NAMES[kernel]}


def strided(array):
    """Return the same numbers, every other element of twice the memory."""
    wide = np.zeros((2 * array.size,), array.dtype)
    wide[::2] = array
    return wide[::2]


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    return np.ndarray(array.shape, array.dtype, memory.data)


ARRAYS = ("x", "labels", "targets", "class_weight", "pos_weight", "scale", "keep", "loss", "grad")
FLAT = tuple(name for name in ARRAYS if name not in ("x", "targets", "grad"))
# What is done to which argument, and what is raised.
FAULTS = {
    "a list": (ARRAYS, np.ndarray.tolist, TypeError, "plain NumPy array, got list"),
    "nothing": (ARRAYS[:-1], lambda a: None, TypeError, "plain NumPy array, got NoneType"),
    "masked": (ARRAYS, np.ma.array, TypeError, "plain NumPy array, got MaskedArray"),
    "int32": (ARRAYS, lambda a: a.astype(np.int32), TypeError, "native dtype .*, got int32"),
    "other float": (
        ARRAYS[1:],
        lambda a: a.astype(np.float32 if a.dtype == np.float64 else np.float64),
        TypeError,
        "native dtype .*, got float",
    ),
    "byte order": (
        [name for name in ARRAYS if name != "keep"],
        lambda a: a.astype(a.dtype.newbyteorder()),
        TypeError,
        "native dtype .*, got [<>]",
    ),
    "unaligned": ([n for n in ARRAYS if n != "keep"], unaligned, ValueError, "aligned"),
    "short": (ARRAYS[1:], lambda a: a[:-1], ValueError, r"shape \(.*, got \("),
    "long": (ARRAYS[1:], lambda a: np.repeat(a, 3, 0), ValueError, r"shape \(.*, got \("),
    "none": ([n for n in ARRAYS[1:] if "_" not in n], lambda a: a[:0], ValueError, "shape"),
    "an axis more": (ARRAYS, lambda a: a[None], ValueError, r"\(outer, classes, inner\)|shape \("),
    "a scalar": (ARRAYS, lambda a: np.array(a.flat[0] if a.size else 1, a.dtype), ValueError, ""),
    "strided": (FLAT, strided, ValueError, r"contiguous, got strides \("),
    "read-only": (("loss", "grad"), read_only, ValueError, "writeable"),
    "one element": (
        ("grad",),
        lambda a: np.lib.stride_tricks.as_strided(a, a.shape, (0, 0, 0)),
        ValueError,
        "overlap itself",
    ),
    "text": (("smoothing", "eps"), str, TypeError, "a number, got str"),
    "array": (("smoothing", "eps"), np.array, TypeError, "a number, got ndarray"),
    "nan": (("smoothing", "eps"), lambda a: np.nan, ValueError, "finite in float64, got nan"),
    "huge": (("smoothing", "eps"), lambda a: -(10**400), ValueError, "finite in float64, got -1"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kernel", NAMES, ids=lambda kernel: kernel.__name__)
def test_an_argument_that_does_not_fit_is_named_and_nothing_written(kernel, fault):
    names, change, error, message = FAULTS[fault]
    for name in set(names) & set(NAMES[kernel]):
        arguments = good(kernel)
        outputs = arguments["loss"], arguments["grad"]
        changed = change(arguments[name])
        with pytest.raises(error, match=f"^{name} must .*{message}"):
            kernels.run(kernel, *{**arguments, name: changed}.values())
        assert all((output == 7).all() for output in outputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16])
@pytest.mark.parametrize("kernel", NAMES, ids=lambda kernel: kernel.__name__)
def test_an_output_overlaps_nothing_but_the_predictions(kernel, dtype):
    memory = np.zeros(1024, np.uint8)

    def laid(array, offset):
        copy = np.ndarray(array.shape, array.dtype, memory.data, offset)
        copy[...] = array
        return copy

    for name in NAMES[kernel]:
        for output in {"loss", "grad"} - {name}:
            arguments = good(kernel, dtype)
            if isinstance(arguments[name], np.ndarray):
                arguments[output] = laid(arguments[output], 8)
                arguments[name] = laid(arguments[name], 16)
                with pytest.raises(ValueError, match=r"^(loss|grad) must .*, but overlaps ") as e:
                    kernels.run(kernel, *arguments.values())
                assert {output, name} == {str(e.value).split()[k] for k in (0, -1)}


def test_in_place_the_predictions_are_no_targets():
    arguments = good(kernels.poisson)
    x = arguments["x"]
    with pytest.raises(ValueError, match=r"^grad must .* but overlaps targets"):
        kernels.run(kernels.poisson, *{**arguments, "targets": x, "grad": x}.values())
    assert (x == 1).all()


@pytest.mark.parametrize("kernel", [None, print, [], kernels.total, "poisson"], ids=range(5))
def test_only_kernels_are_run(kernel):
    with pytest.raises(TypeError, match=r"^kernel must be a kernel of fastloss_kernels, got "):
        kernels.run(kernel, *good(kernels.poisson).values())


@pytest.mark.parametrize("kernel", NAMES, ids=lambda kernel: kernel.__name__)
def test_the_number_of_arguments(kernel):
    arguments = list(good(kernel).values())
    for wrong in (arguments[:1], arguments[:-1], [*arguments, 1]):
        with pytest.raises(TypeError, match=rf"^{kernel.__name__} must .*, got {len(wrong)}$"):
            kernels.run(kernel, *wrong)


def test_what_the_first_call_was_given_does_not_matter():
    """An integer smoothing once compiled a kernel that cut those of later calls to integers."""
    kernel = kernels.binary_crossentropy_logits
    results = []
    for smoothing in (0, np.float32(0.25), 0.25, np.int8(1), 1.0):
        arguments = {**good(kernel), "smoothing": smoothing}
        kernels.run(kernel, *arguments.values())
        results.append(arguments["loss"])
    np.testing.assert_array_equal(results[1], results[2])
    np.testing.assert_array_equal(results[3], results[4])
    t, x = np.array([0.5, 0.5, 0.5]), 1.0
    np.testing.assert_allclose([r[0] for r in results[::2]], np.log1p(np.exp(x)) - x * t, rtol=1e-6)


def test_what_fits_is_run():
    """Read-only inputs of any strides, memory-mapped subclasses, in place, one value for all."""
    kernel = kernels.softmax_crossentropy_sparse
    arguments = good(kernel)
    kernels.run(kernel, *arguments.values())
    expected = arguments["loss"].copy(), arguments["grad"].copy()
    x = good(kernel)["x"]
    for changes in (
        {"x": read_only(np.broadcast_to(np.float32(1), x.shape))},
        {"x": np.asfortranarray(x), "labels": read_only(np.arange(N) % C)},
        {"x": x.view(np.memmap), "keep": np.ones(1, bool), "scale": np.ones(N)},
        {"x": x, "grad": x},
    ):
        changed = {**good(kernel), **changes}
        kernels.run(kernel, *changed.values())
        np.testing.assert_array_equal(changed["loss"], expected[0])
        np.testing.assert_array_equal(changed["grad"], expected[1])


def test_what_the_facade_launches_is_what_run_demands(monkeypatch):
    calls = []

    def launch(kernel, x, targets, options, *rest):
        calls.append(kernel)
        return kernels.run(kernel, x, targets, *options, *rest)

    monkeypatch.setattr(evaluate, "launch", launch)
    assert fl.check().ok
    assert set(calls) == set(NAMES)
