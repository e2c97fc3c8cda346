"""The relative error of a loss over its size, ours and that of peers: `--write` draws it.

    python -m benchmarks.loss_sizes [--write]

Crossentropy of two float32 logits (d, 0) and label 0: the loss is log(1 + exp(-d)), computed in
mpmath from the d that float32 holds. Many d of each decade; what is shown is the worst of them.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

import fastloss as fl
from tools.fill_docs import fill
from tools.pictures import BLUE, GREEN, ORANGE, VIOLET, panel

from . import machine
from .accuracy import peers
from .cases import CASES

Array = NDArray[Any]
ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "error.svg"
SMALLEST, LARGEST = -30, 2  # powers of ten of the loss
BINS, EACH = 2, 200  # a decade, and losses in each bin
FLOOR = 1e-9  # of what is drawn: errors below are as good as none
DIGITS = 60
SPARSE = CASES[0]
COLOURS = {"fastloss": BLUE, "torch": ORANGE, "JAX": GREEN, "scikit-learn": VIOLET}
LINES = {"fastloss": (3, "-"), "torch": (4, "-"), "JAX": (2, "--"), "scikit-learn": (2, ":")}
PACKAGES = {"torch": "torch", "JAX": "jax", "scikit-learn": "scikit-learn"}


def sizes() -> Array:
    """Return the middle of each bin, as a power of ten."""
    count = (LARGEST - SMALLEST) * BINS
    return SMALLEST + (np.arange(count) + 0.5) / BINS


def differences() -> Array:
    """Return d for every loss: a row a bin."""
    powers = sizes()[:, np.newaxis] + (np.arange(EACH) / EACH - 0.5) / BINS
    loss = 10.0**powers
    return (-np.log(np.expm1(loss))).astype(np.float32)


def truth(d: Array) -> list[mpf]:
    """Return log(1 + exp(-d)) in DIGITS digits."""
    with mp.workdps(DIGITS):
        return [mp.log(1 + mp.exp(-mpf(float(item)))) for item in d.ravel()]


def computed(d: Array) -> dict[str, Array]:
    """Return the losses by fastloss and by each peer that is installed."""
    x = np.column_stack([d.ravel(), np.zeros(d.size, np.float32)])
    labels = np.zeros(d.size, np.int64)
    found = {"fastloss": fl.sparse_categorical_crossentropy(labels, x, from_logits=True)}
    for name, compute in peers.losses().items():
        if name in COLOURS and (pair := compute(SPARSE, labels, x)) is not None:
            found[name] = pair[0]
    if find_spec("sklearn") is not None:
        loss: Any = import_module("sklearn._loss").HalfMultinomialLoss(n_classes=2)
        found["scikit-learn"] = loss.loss(labels.astype(np.float32), x)
    return found


def errors() -> dict[str, Array]:
    """Return the worst relative error in each bin, by library."""
    d = differences()
    right = truth(d)

    def relative(losses: Array) -> Array:
        pairs = zip(losses.tolist(), right, strict=True)
        with mp.workdps(DIGITS):
            wrong = [float(abs(mpf(loss) - true) / true) for loss, true in pairs]
        return np.array(wrong).reshape(d.shape).max(axis=1)

    return {name: relative(losses) for name, losses in computed(d).items()}


def draw(found: dict[str, Array], path: Path = PICTURE) -> None:
    """Draw a line for each library."""
    with panel(path) as axes:
        for name, error in found.items():
            width, line = LINES[name]
            axes.plot(10.0 ** sizes(), np.maximum(error, FLOOR), line, color=COLOURS[name],
                      linewidth=width, label=name)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="true loss", ylabel="relative error")
        powers = range(SMALLEST, LARGEST + 1, 10)
        axes.set_xticks([10.0**n for n in powers], [f"1e{n}" if n else "1" for n in powers])
        axes.set_yticks([1e-9, 1e-6, 1e-3, 1], ["1e-9", "1e-6", "1e-3", "1"])
        axes.minorticks_off()
        axes.set_ylim(FLOOR, 4)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)


def caption(found: dict[str, Array]) -> str:
    """Return what the page says below the picture."""
    worst = ", ".join(f"{name} {error.max():.1e}" for name, error in found.items())
    place = machine.describe(["numpy", *(PACKAGES[name] for name in found if name in PACKAGES)])
    versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
    count = sizes().size * EACH
    return (
        f"![Relative error of the loss over its size](pictures/{PICTURE.name})\n\n"
        f"Crossentropy of two float32 logits, {count:,} losses between 1e{SMALLEST} and "
        f"1e{LARGEST}; the worst of {EACH} neighbours is drawn. Worst of all: {worst}; an error "
        "of 1 means that 0 came. scikit-learn is `sklearn._loss`.\n\n"
        f"Measured {date.today()} by `make pictures`: {place['processor']}, {place['system']}; "
        f"{versions}."
    )


def main() -> None:
    """Print the worst errors; with --write draw, and fill docs/accuracy.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss_sizes", description=__doc__)
    parser.add_argument("--write", action="store_true", help="draw, and fill docs/accuracy.md")
    write, found = parser.parse_args().write, errors()
    print(caption(found))
    if write:
        draw(found)
        page = ROOT / "docs" / "accuracy.md"
        text = page.read_text(encoding="utf-8")
        page.write_text(fill(text, "loss-sizes", caption(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
