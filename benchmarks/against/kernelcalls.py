"""Calls of kernels: the arrays of a case, and what a kernel makes of them."""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import fastloss_kernels as kernels
import numba
import numpy as np

from .inputs import LOGITS, PROBABILITIES, TARGETS, Array, Random, draw, rounded, target_kind
from .kernelcases import HALVES, LOSSES, Case, Loss
from .layouts import place, placed

Results = dict[str, Array]
SHARE = 0.3  # of rows that are masked, of arrays that are read-only
UNWRITTEN = 123.0


def kernel_of(loss: Loss) -> Any:
    """Return the kernel by the first of its names that this tree has."""
    for name in loss.kernels:
        try:
            return getattr(kernels, name)
        except AttributeError:
            continue
    raise LookupError(f"this tree has none of the kernels {', '.join(loss.kernels)}")


def call(case: Case) -> Results:
    """Return all that the case's kernel returns and writes, the gaps between it included."""
    return prepared(case)()


def prepared(case: Case) -> Callable[[], Results]:
    """Return the call, with its arguments made and its kernel imported."""
    loss, rng = LOSSES[case.loss], np.random.default_rng(crc32(case.name.encode()))
    outer, classes, inner = case.shape
    rows = outer * inner
    working = "float64" if case.dtype == "float64" else "float32"
    draws = LOGITS if loss.logits else PROBABILITIES
    numbers = draw(rng, draws[case.draw], rows, classes)
    memory, x = placed(case.layouts[0], _three_axes(rounded(numbers, case.dtype), case))
    keep = np.ones(1, bool)
    if case.options.startswith(("keep", "bad")):
        keep = rng.random(rows) >= SHARE
    if case.options == "keep_none":
        keep = np.zeros(1, bool)
    truth = _targets(case, loss, rng, keep, working)
    arguments = [_argument(name, case, rng, working) for name in loss.arguments]
    written = np.full(rows, UNWRITTEN, working)
    grad = None
    if case.form == "in_place":
        grad = x
    elif case.form != "value":
        kind = x.dtype if case.form == "gradient" else np.dtype("float32")
        memory, grad = place(case.layouts[2], case.shape, kind)
    if grad is not x:
        x.flags.writeable = bool(rng.random() >= SHARE)
    arguments = [truth, *arguments, _scale(case, rng, rows), keep, written, grad]
    kernel = kernel_of(loss)
    numba.set_num_threads(case.threads)

    def run() -> Results:
        returned = kernels.run(kernel, x, *arguments)
        results = {"returned": np.array(-2 if returned is None else returned), "loss": written}
        if grad is not None:
            results |= {"grad": _floats(grad, case), "grad and gaps": _floats(memory, case)}
        return results

    return run


def _three_axes(rows: Array, case: Case) -> Array:
    outer, classes, inner = case.shape
    return rows.reshape(outer, inner, classes).transpose(0, 2, 1)


def _targets(case: Case, loss: Loss, rng: Random, keep: Array, working: str) -> Array:
    outer, classes, inner = case.shape
    rows = outer * inner
    if loss.targets != "labels":
        kind = target_kind(rng, loss.targets)
        numbers = draw(rng, TARGETS[loss.targets][kind], rows, classes)
        return placed(case.layouts[1], _three_axes(rounded(numbers, working), case))[1]
    labels = rng.integers(0, max(classes, 1), rows)
    if case.options.startswith("bad"):
        wrong = rng.choice([-1, classes, 2**40, -(2**62)], rows)
        labels = np.where(keep, labels, wrong)
        if case.options == "bad_label":
            labels = np.where(rng.random(rows) < 2 / max(rows, 1), wrong, labels)
    return labels.astype(np.int64)


def _argument(name: str, case: Case, rng: Random, working: str) -> Any:
    options = case.options
    if name == "eps":
        return float(options.removeprefix("eps=")) if options.startswith("eps=") else 1e-7
    if name == "smoothing":
        if options.startswith("smoothing="):
            return float(options.removeprefix("smoothing="))
        return 0.1 if options == "weight_smoothing" else 0.0
    if not options.startswith("weight"):
        return np.empty(0, working)
    weight = rng.exponential(size=case.shape[1])
    return np.where(rng.random(weight.size) < 0.1, 0.0, weight).astype(working)


def _scale(case: Case, rng: Random, rows: int) -> Array:
    if case.options in ("scale_rows", "keep_scale"):
        some = np.array([1.0, -1.0, 0.0, 1e-30, 1e30, -1e30, 1e-40, 0.37])
        scales: Array = rng.choice(some, rows) * rng.choice([1.0, 1.25], rows)
        return scales
    scale = case.options.removeprefix("scale=")
    return np.array([float(scale) if scale != case.options else 1.0])


def _floats(array: Array, case: Case) -> Array:
    """Return float16 and bfloat16 bits as numbers, every other array as it is."""
    if case.dtype not in HALVES or array.dtype.kind == "f":
        return array
    if case.dtype == "float16":
        return array.view(np.float16)
    return (array.astype(np.uint32) << 16).view(np.float32)
