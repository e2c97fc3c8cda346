"""The types that parts are compiled for, whatever the arrays are that a caller has.

Left to itself Numba compiles anew for every combination of C, Fortran and other layouts, writeable
and read-only. Here predictions, targets and gradients have any strides and all inputs are
read-only, which every array of the right dtype and rank satisfies; parts find out at run time what
is contiguous.
"""

from typing import Any

from numba import types

_NAMES = ("x", "targets", "options", "scale", "keep", "loss", "grad")
_INPUTS = len(_NAMES) - 2  # the last two are written


def part_types(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a part takes for arguments (x, targets, options, scale, keep, loss, grad).

    Raises
    ------
    TypeError
        If one has another rank or dtype than it must have.
    """
    for name, kind, needed in zip(_NAMES, given, _needed(given), strict=True):
        if needed and not _is_one_of(kind, needed):
            name = "labels" if name == "targets" and getattr(kind, "ndim", 3) == 1 else name
            wanted = " or ".join(_text(ndim, dtypes) for ndim, dtypes in needed)
            raise TypeError(f"{name} must be {wanted}, got {kind}")
    return tuple(_part_type(kind, k < _INPUTS) for k, kind in enumerate(given))


def scratch_types(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types of a part's arguments once rows are packed: all in the dtype of `loss`."""
    working = given[-2].dtype
    return tuple(
        kind.copy(dtype=working) if getattr(kind, "ndim", 1) == 3 else kind for kind in given
    )


def _needed(given: tuple[Any, ...]) -> list[Any]:
    """Return the (rank, dtypes) that each argument may have; nothing is asked of options."""
    dtype = getattr(given[0], "dtype", None)
    working = types.float64 if dtype == types.float64 else types.float32
    halves = (types.int16, types.uint16)  # of the bits of float16 and bfloat16
    written = (working, *halves) if working == types.float32 else (working,)
    of_row = [(1, (types.float64,))], [(1, (types.boolean,))], [(1, (working,))]
    gradient = [] if isinstance(given[-1], types.NoneType) else [(3, written)]
    return [
        [(3, (types.float32, types.float64, *halves))],
        [(1, (types.int64,)), (3, (working,))],
        [],
        *of_row,
        gradient,
    ]


def _is_one_of(kind: Any, needed: list[Any]) -> bool:
    return isinstance(kind, types.Array) and any(
        kind.ndim == ndim and kind.dtype in dtypes for ndim, dtypes in needed
    )


def _text(ndim: int, dtypes: tuple[Any, ...]) -> str:
    names = " or ".join(dict.fromkeys(map(str, dtypes)))
    return f"an array of {ndim} {'axis' if ndim == 1 else 'axes'} and dtype {names}"


def _part_type(kind: Any, readonly: bool) -> Any:
    if isinstance(kind, types.Array):
        layout: Any = "A" if kind.ndim == 3 else "C"
        return types.Array(kind.dtype, kind.ndim, layout, readonly=readonly)
    if isinstance(kind, types.BaseTuple):
        items: Any = kind
        return types.Tuple([_part_type(item, readonly) for item in items])
    return types.float64 if isinstance(kind, types.Number) else kind  # of options
