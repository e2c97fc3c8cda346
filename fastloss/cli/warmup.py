"""Compile kernels ahead of time, in as many processes as there are cores; and pack bundles."""

from __future__ import annotations

import logging
import os
import signal
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fastloss_kernels
from fastloss_kernels.compiler.disk_cache import LEVEL_FEATURES, LEVELS
from fastloss_kernels.variants import variants

from fastloss.hessians import hessian_kernel, product_kernel
from fastloss.identifiers import get

LOSSES = {
    "binary_crossentropy": ("binary_crossentropy", "binary_crossentropy_logits"),
    "categorical_crossentropy": ("probability_crossentropy_dense", "softmax_crossentropy_dense"),
    "sparse_categorical_crossentropy": (
        "probability_crossentropy_sparse",
        "softmax_crossentropy_sparse",
        "probability_crossentropy_smoothed",
        "softmax_crossentropy_smoothed",
    ),
    "poisson": ("poisson", "poisson_log_rates"),
    "kl_divergence": ("kullback_leibler",),
}
"""Function of a loss -> its kernels."""
ACTIVATIONS = {name: name for name in ("softmax", "log_softmax", "sigmoid", "log_sigmoid")}
ACTIVATIONS["logsumexp"] = "log_softmax"
"""Function of an activation -> its kernel."""
DTYPES = {"float32": "float32", "float64": "float64", "float16": "int16", "bfloat16": "uint16"}
"""dtype -> what kernels are given: half precision as the integers of its bits."""
TARGETS = ("native", *LEVELS)
"""What can be compiled for: this very processor, or every one of a level."""


def compiles() -> bool:
    """Return whether Numba compiles at all."""
    return hasattr(fastloss_kernels.total, "compile")


class Job(NamedTuple):
    """One variant of a kernel, by its place among them."""

    kernel: str
    dtype: str
    number: int


class Done(NamedTuple):
    """What became of a job."""

    name: str
    compiled: bool
    file: tuple[str, bytes] | None
    """Name and content of what is kept of it, None if nothing could be."""
    directory: str | None
    """Where new files are written."""


def jobs(names: Iterable[str], dtypes: Iterable[str], curvature: bool = False) -> list[Job]:
    """Return the jobs for losses and activations, by the names of functions or classes.

    A name may also be that of a kernel alone. With `curvature` the jobs of functions and classes
    include those for second derivatives.

    Raises
    ------
    ValueError
        For an unknown name or dtype.
    """
    found: dict[Any, Job] = {}
    for name in names:
        alone = ACTIVATIONS.get(name, name)
        if alone in fastloss_kernels.__all__ and alone not in ("run", *LOSSES):
            kernels = [alone]
        else:
            kernels = list(_kernels_of(LOSSES[_function_name(name)], curvature))
        for dtype in dtypes:
            if dtype not in DTYPES:
                raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
            for kernel in kernels:
                needed = variants(getattr(fastloss_kernels, kernel), DTYPES[dtype])
                for number, variant in enumerate(needed):
                    job = Job(kernel, DTYPES[dtype], number)
                    found.setdefault((variant.function, variant.kinds), job)
    # Parts of one kernel wait for each other, where one calls another: neighbours are of several.
    return sorted(found.values(), key=lambda job: job.number)


def _kernels_of(names: Sequence[str], curvature: bool) -> Iterator[str]:
    """Yield the kernels that calls of a loss with these kernels may need, by name."""
    for name in names:
        yield name
        if curvature:
            yield hessian_kernel(name)
            yield product_kernel(name)
    yield "total"  # which reduces the losses
    if any("crossentropy_" in name and "logits" not in name for name in names):
        yield from ("label_ranks", "top_classes", "brier_scores")  # beside losses of classes


def _function_name(loss: str) -> str:
    """Return the name of the function for a name that `evaluate` takes."""
    try:
        found: Any = get(loss)
    except ValueError as error:
        raise ValueError(f"{error}; or one of {', '.join(ACTIVATIONS)}") from None
    return str(getattr(found, "__name__", None) or found.name)  # of a function, of a class's loss


def compiled(todo: list[Job], processes: int, target: str = "native") -> Iterator[Done]:
    """Compile each job for a target, in some processes; yield what becomes of each, as it ends.

    For another target than this processor nothing is kept on disk.
    """
    with TemporaryDirectory() as scratch, _environment(_settings(target, scratch)):
        context = get_context("spawn")  # what has threads must not be forked
        with ProcessPoolExecutor(processes, context, _be_quiet) as pool:
            try:
                for future in as_completed([pool.submit(_compile, job) for job in todo]):
                    yield future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def check_bundle_path(path: Path) -> None:
    """Raise before minutes of compiling what `write_bundle` would raise after them."""
    if path.suffix != ".zip":
        raise ValueError(f"--export must name a .zip file, as bundles are found by it: got {path}")
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"--export must name a file in a directory that exists and is writeable: got {path}"
        )


def write_bundle(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a bundle: a zip archive of cache files, whole or not at all, the same at any time."""
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files):
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _settings(target: str, scratch: str) -> dict[str, str]:
    if target == "native":
        return {}
    return {
        "NUMBA_CPU_NAME": target,
        "NUMBA_CPU_FEATURES": LEVEL_FEATURES,
        "NUMBA_CACHE_DIR": scratch,
    }


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Give the processes that are started meanwhile these environment variables."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _be_quiet() -> None:
    """Let Ctrl-C end a process at once, and log nothing: the one that started it says all that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.getLogger("fastloss").setLevel(logging.ERROR)


def _compile(job: Job) -> Done:
    variant = list(variants(getattr(fastloss_kernels, job.kernel), job.dtype))[job.number]
    was_compiled = variant.compile()
    return Done(variant.name, was_compiled, variant.file(), variant.function._cache.cache_path)
