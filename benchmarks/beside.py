"""What a program computes beside losses, beside peers: `python -m benchmarks.beside` fills docs/.

Activations, second derivatives and the crossentropy of a linear layer. Every contestant has a
process of its own, so that no library's waiting threads disturb another; processes take turns, and
what is shown is the median of their best times and of the memory that calls took on top of the
inputs. Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tools.fill_docs import fill

from . import machine, report

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
CALLS = 7
Call = Callable[[], Any]
RNG = np.random.default_rng(0)


def logits(rows: int, classes: int) -> Any:
    """Return float32 logits."""
    return RNG.normal(0, 3, (rows, classes)).astype(np.float32)


def activation(name: str, library: str) -> Call:
    """Return an activation of 32,768 rows of 1,000 classes, into an array that is there."""
    x = logits(32_768, 1_000)
    out = np.empty_like(x)
    if library == "fastloss":
        import fastloss as fl

        return lambda: getattr(fl, name)(x, out=out)
    if library == "scipy":
        from scipy import special

        if name == "sigmoid":
            return lambda: special.expit(x, out=out)
        return lambda: getattr(special, name)(x, axis=-1)
    if library == "torch":
        import torch

        given, more = torch.from_numpy(x), () if name == "sigmoid" else (-1,)
        return lambda: getattr(torch, name)(given, *more, out=torch.from_numpy(out))
    return lambda: np.copyto(out, x)


def curvature(library: str) -> Call:
    """Return gradient and Hessian of the binary crossentropy of 1,000,000 logits."""
    x = logits(1_000_000, 1)[:, 0]
    y = (RNG.random(x.size) < 0.5).astype(np.float32)
    if library == "fastloss":
        import fastloss as fl

        loss = fl.BinaryCrossentropy(from_logits=True, axis=(), reduction=None)
        grad, hessian = np.empty_like(x), np.empty_like(x)
        return lambda: loss.value_grad_and_hessian(y, x, out=grad, hessian_out=hessian)
    if library == "scikit-learn":
        from sklearn._loss import HalfBinomialLoss

        theirs, threads = HalfBinomialLoss(), len(os.sched_getaffinity(0))
        grad, hessian = np.empty_like(x), np.empty_like(x)
        return lambda: theirs.gradient_hessian(
            y, x, gradient_out=grad, hessian_out=hessian, n_threads=threads
        )
    raise ImportError(library)


def product(library: str) -> Call:
    """Return a product with the Hessian of softmax crossentropy, 8,192 rows of 1,000 classes."""
    x, v = logits(8_192, 1_000), logits(8_192, 1_000)
    y = RNG.integers(0, 1_000, 8_192)
    if library == "fastloss":
        import fastloss as fl

        loss, out = fl.SparseCategoricalCrossentropy(from_logits=True), np.empty_like(x)
        return lambda: loss.hessian_vector_product(y, x, v, out=out)
    if library == "torch":
        import torch

        labels, vector = torch.from_numpy(y), torch.from_numpy(v)

        def twice() -> Any:
            given = torch.from_numpy(x).requires_grad_()
            loss = torch.nn.functional.cross_entropy(given, labels)
            (grad,) = torch.autograd.grad(loss, given, create_graph=True)
            return torch.autograd.grad(grad, given, vector)

        return twice
    if library == "jax":
        import jax

        def loss_of(given: Any) -> Any:
            picked = jax.numpy.take_along_axis(given, jax.numpy.asarray(y)[:, None], 1)[:, 0]
            return jax.numpy.mean(jax.nn.logsumexp(given, 1) - picked)

        compiled = jax.jit(lambda at, along: jax.jvp(jax.grad(loss_of), (at,), (along,))[1])
        at, along = jax.numpy.asarray(x), jax.numpy.asarray(v)
        return lambda: compiled(at, along).block_until_ready()
    raise ImportError(library)


def linear(rows: int, inputs: int, classes: int, dtype: str, library: str) -> Call:
    """Return value and gradients of the crossentropy of a linear layer."""
    x = RNG.normal(size=(rows, inputs)).astype(dtype)
    kernel = (RNG.normal(size=(inputs, classes)) * 0.1).astype(dtype)
    y, bias = RNG.integers(0, classes, rows), np.zeros(classes, dtype)
    if library == "fastloss":
        import fastloss as fl

        loss = fl.LinearCrossentropy()
        wanted = ("kernel", "bias") if classes < 1_000 else None  # as scikit-learn's
        return lambda: loss.value_and_grad(y, x, kernel, bias, wrt=wanted)
    if library == "scikit-learn":
        from sklearn._loss import HalfMultinomialLoss
        from sklearn.linear_model._linear_loss import LinearModelLoss

        model = LinearModelLoss(HalfMultinomialLoss(n_classes=classes), fit_intercept=True)
        weights = np.concatenate([kernel.T, bias[:, None]], axis=1).ravel(order="F")
        labels, threads = y.astype(dtype), len(os.sched_getaffinity(0))
        return lambda: model.loss_gradient(weights, x, labels, n_threads=threads)
    import torch
    from torch.nn import functional

    leaves = [torch.from_numpy(np.ascontiguousarray(a)) for a in (x, kernel.T, bias)]
    tensors, labels = [leaf.requires_grad_() for leaf in leaves], torch.from_numpy(y)

    def forward_and_backward() -> None:
        for tensor in tensors:
            tensor.grad = None
        a, w, b = tensors
        if library == "torch":
            loss = functional.cross_entropy(functional.linear(a, w, b), labels)
        else:
            loss = functional.linear_cross_entropy(a, w, labels)
        loss.backward()

    return forward_and_backward


FUSED = "torch, linear_cross_entropy"
WORKS: dict[str, tuple[Callable[[str], Call], tuple[str, ...]]] = {
    "softmax, 32,768 × 1,000": (
        lambda lib: activation("softmax", lib),
        ("fastloss", "scipy", "torch", "copy"),
    ),
    "log_softmax, 32,768 × 1,000": (
        lambda lib: activation("log_softmax", lib),
        ("fastloss", "scipy", "torch", "copy"),
    ),
    "sigmoid, 32,768 × 1,000": (
        lambda lib: activation("sigmoid", lib),
        ("fastloss", "scipy", "torch", "copy"),
    ),
    "binary logits, gradient and Hessian, 1,000,000": (curvature, ("fastloss", "scikit-learn")),
    "softmax crossentropy, Hessian times vector, 8,192 × 1,000": (
        product,
        ("fastloss", "torch", "jax"),
    ),
    "linear crossentropy, 1,024 × 256 → 32,000": (
        lambda lib: linear(1_024, 256, 32_000, "float32", lib),
        ("fastloss", "torch", FUSED),
    ),
    "linear crossentropy, 100,000 × 64 → 100": (
        lambda lib: linear(100_000, 64, 100, "float32", lib),
        ("fastloss", "scikit-learn"),
    ),
    "linear crossentropy, 100,000 × 64 → 100, float64": (
        lambda lib: linear(100_000, 64, 100, "float64", lib),
        ("fastloss", "scikit-learn"),
    ),
}
MODULES = {"scikit-learn": "sklearn", FUSED: "torch", "copy": "numpy"}


def measure(work: str, library: str) -> dict[str, float]:
    """Return the least milliseconds of a call, and the megabytes that calls took."""
    call = WORKS[work][0](library)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(CALLS + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"ms": 1e3 * min(times[1:]), "MB": grown / 1024}


def compare(rounds: int) -> str:
    """Return the table, in Markdown."""
    rows = []
    for work, (_, libraries) in WORKS.items():
        there = [lib for lib in libraries if importlib.util.find_spec(MODULES.get(lib, lib))]
        found: dict[str, list[dict[str, float]]] = {lib: [] for lib in there}
        for _ in range(rounds):
            for library in there:
                command = [sys.executable, "-m", "benchmarks.beside", work, library]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[library].append(json.loads(done.stdout))
        medians = {
            lib: [statistics.median(one[unit] for one in runs) for unit in ("ms", "MB")]
            for lib, runs in found.items()
        }
        for library, (ms, mb) in medians.items():
            ratio = f"{ms / medians['fastloss'][0]:.2f}"
            rows.append([work, library, f"{ms:.3g}", ratio, f"{mb:.0f}"])
    head = ["work, float32 unless said", "by", "ms", "of fastloss's", "MB"]
    cores = len(os.sched_getaffinity(0))
    runs = "one process" if rounds == 1 else f"{rounds} processes"
    note = f"{cores} threads for everyone, {runs} each. {machine.place()}."
    return f"{report.markdown(head, rows)}\n\n{note}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="?", help="measure this one alone, print JSON")
    parser.add_argument("library", nargs="?", default="fastloss")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each contestant")
    given = parser.parse_args()
    if given.work:
        print(json.dumps(measure(given.work, given.library)))
    else:
        PAGE.write_text(fill(PAGE.read_text(), "beside", compare(given.rounds)))
