"""`run`: a kernel called from Python, with arguments that are looked at first.

Compiled code reads memory as the types it was compiled for say, as far as the shape of the
predictions says. Here every other argument is held against the predictions.
"""

import inspect
from functools import cache, lru_cache
from math import inf, isfinite
from typing import Any, TypeAlias

import numpy as np

from fastloss_kernels.launch import launch, launch_activation
from fastloss_kernels.overlap import overlapped, overlaps_itself
from fastloss_kernels.typing import Parts

_FLOAT32, _FLOAT64, _INT64, _BOOL = map(np.dtype, ("float32", "float64", "int64", "bool"))

_PREDICTIONS = (_FLOAT32, _FLOAT64, np.dtype("int16"), np.dtype("uint16"))  # see `half`

_NUMBERS, _OUTPUTS = ("smoothing", "eps"), ("loss", "grad", "logsumexp", "out")
_OPTIONAL = ("grad", "out")  # if there is another output

_Shapes: TypeAlias = tuple[tuple[int, ...], ...]


def run(kernel: Any, x: Any, *rest: Any) -> Any:
    """Return ``kernel(x, *rest, threads)``, on as many threads as the work and the process allow.

    Those are at most `numba.get_num_threads`, and one for small work. The first call of each kernel
    and dtype compiles it.

    Parameters
    ----------
    kernel : kernel of this package
        Its docstring says what follows x; the same name means the same in every kernel. In place of
        `threads`, its last argument, nothing is given.
    x : (outer, classes, inner) float32 or float64, int16 or uint16 (see `half`)
        Predictions. Any strides; may be read-only. n is outer * inner.
    *rest
        The kernel's other arguments, by position: of these,

        - labels : (n,) int64
        - targets : (outer, classes, inner), loss's dtype; any strides
        - class_weight : (0,) or (classes,), loss's dtype
        - pos_weight : likewise; or (n,), one for each of n rows of one class
        - smoothing, eps : finite numbers
        - scale : (1,) or (n,) float64
        - keep : (1,) or (n,) bool
        - loss, logsumexp : (n,), float64 for a float64 x, else float32; written
        - grad, out : None, or (outer, classes, inner), x's or loss's dtype; any strides; written.
          An `out` without `logsumexp` is not None

        Arrays are aligned, in native byte order, and those of one axis contiguous. What is written
        is writeable and shares no memory with another argument; but grad and out may be x.

    Returns
    -------
    int or None
        What the kernel returns: with class labels the first kept row whose label is out of range
        (then nothing is written), or -1.

    Raises
    ------
    TypeError
        If `kernel` is none, the arguments are too many or too few, or one of them is of another
        type or dtype than it must be. Masked arrays are refused.
    ValueError
        If a shape, a layout, an overlap or a number is not as above, or an output is read-only.
        Nothing has been written then.

    Notes
    -----
    Compiled code calls kernels directly, and then no argument is looked at but the labels.

    Examples
    --------
    >>> import numpy as np
    >>> import fastloss_kernels as kernels
    >>> x = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).reshape(2, 3, 1)
    >>> loss, grad = np.empty(2), np.empty_like(x)
    >>> one, every = np.ones(1), np.ones(1, bool)
    >>> kernel, labels = kernels.softmax_crossentropy_sparse, np.array([0, 2])
    >>> kernels.run(kernel, x, labels, one, every, loss, grad)
    -1
    >>> print(loss)
    [0.40760596 1.09861229]
    >>> kernels.run(kernel, x, labels[:1], one, every, loss, grad)
    Traceback (most recent call last):
        ...
    ValueError: labels must have shape (2,), got (1,)
    """
    given = _checked(kernel, x, rest)
    if "out" in given:
        values = given.get("logsumexp")
        if values is None:  # room that stays unused
            values = np.empty(x.shape[0] * x.shape[2], _working(x.dtype))
        return launch_activation(kernel, x, values, given["out"])
    x, targets, *options, scale, keep, loss, grad = given.values()
    return launch(kernel, x, targets, tuple(options), scale, keep, loss, grad)


def _checked(kernel: Any, x: Any, rest: tuple[Any, ...]) -> dict[str, Any]:
    """Return the arguments by name, numbers as floats; raise where they do not fit together."""
    if not isinstance(getattr(kernel, "parts", None), Parts):
        raise TypeError(f"kernel must be a kernel of fastloss_kernels, got {kernel!r}")
    names = _parameters(kernel)
    if len(rest) + 1 != len(names):
        raise TypeError(
            f"{kernel.__name__} must be run with the {len(names)} arguments {', '.join(names)},"
            f" got {len(rest) + 1}"
        )
    _check_dtype("x", x, _PREDICTIONS)
    if x.ndim != 3:
        raise ValueError(f"x must have the three axes (outer, classes, inner), got shape {x.shape}")
    numbers, forms = {}, _forms(x.shape, x.dtype)
    inputs: dict[str, Any] = {"x": x}
    outputs: dict[str, Any] = {}
    for name, value in zip(names[1:], rest, strict=True):
        if name in _NUMBERS:
            numbers[name] = _number(name, value)
        elif name not in _OUTPUTS:
            _check_array(name, value, *forms[name])
            inputs[name] = value
        elif value is not None or name not in _OPTIONAL or not outputs:
            _check_array(name, value, *forms[name])
            if not value.flags.writeable:
                raise ValueError(f"{name} must be writeable, got a read-only array")
            outputs[name] = value
    _check_overlaps(inputs, outputs)
    given = zip(names, (x, *rest), strict=True)
    return {name: numbers.get(name, value) for name, value in given}


@cache
def _parameters(kernel: Any) -> tuple[str, ...]:
    """Return the names of a kernel's arguments but `threads`."""
    return tuple(inspect.signature(kernel).parameters)[:-1]


def _working(dtype: Any) -> Any:
    return _FLOAT64 if dtype == _FLOAT64 else _FLOAT32


@lru_cache(maxsize=256)
def _forms(shape: tuple[int, ...], dtype: Any) -> dict[str, tuple[tuple[Any, ...], _Shapes]]:
    """Return the dtypes and the shapes an array may have beside predictions of these."""
    outer, classes, inner = shape
    rows = (outer * inner,)
    working = _working(dtype)
    per_class: _Shapes = ((0,), (classes,))
    of_rows: _Shapes = (rows,) if classes == 1 else ()
    return {
        "labels": ((_INT64,), (rows,)),
        "targets": ((working,), (shape,)),
        "class_weight": ((working,), per_class),
        "pos_weight": ((working,), per_class + of_rows),
        "scale": ((_FLOAT64,), ((1,), rows)),
        "keep": ((_BOOL,), ((1,), rows)),
        "loss": ((working,), (rows,)),
        "logsumexp": ((working,), (rows,)),
        "grad": ((dtype, working), (shape,)),
        "out": ((dtype, working), (shape,)),
    }


def _check_array(name: str, value: Any, dtypes: tuple[Any, ...], shapes: _Shapes) -> None:
    _check_dtype(name, value, dtypes)
    if value.shape not in shapes:
        wanted = " or ".join(str(shape) for shape in dict.fromkeys(shapes))
        raise ValueError(f"{name} must have shape {wanted}, got {value.shape}")
    if value.ndim == 1 and not value.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous, got strides {value.strides}")


def _check_dtype(name: str, value: Any, dtypes: tuple[Any, ...]) -> None:
    plain = type(value) is np.ndarray or (
        isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)
    )
    if not plain:
        raise TypeError(f"{name} must be a plain NumPy array, got {type(value).__name__}")
    if value.dtype not in dtypes:
        wanted = " or ".join(dict.fromkeys(dtype.name for dtype in dtypes))
        got = value.dtype.name if value.dtype.isnative else value.dtype.str
        raise TypeError(f"{name} must have native dtype {wanted}, got {got}")
    if not value.flags.aligned:
        raise ValueError(f"{name} must be aligned, got an array that is not")


def _check_overlaps(inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    for name, output in outputs.items():
        if overlaps_itself(output):
            raise ValueError(
                f"{name} must not overlap itself, got strides {output.strides} for {output.shape}"
            )
        others = {other: array for other, array in {**inputs, **outputs}.items() if other != name}
        of_rows = output.ndim == 1
        found = overlapped(output, others, itself="" if of_rows else "x")
        if found:
            wanted = "overlap no other argument" if of_rows else "be x itself or overlap no input"
            raise ValueError(f"{name} must {wanted}, but overlaps {found}")


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = inf
    if not isfinite(number):
        raise ValueError(f"{name} must be finite in float64, got {value}")
    return number
