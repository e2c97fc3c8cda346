"""What views cost that are not contiguous: `python -m benchmarks.views` fills docs/.

The same rows twice: contiguous, and as a slice, a step or a transpose of a larger array. Both are
called in turn, and medians compared. Gradients go to arrays as a call without `out` would make
them: without gaps, and with the order of axes that the predictions have in memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from tools.fill_docs import fill

from . import report
from .axes import PAGE, Calls, comparison, lengths, measure
from .cases import CASES, Array, Case


class View(NamedTuple):
    """A way to take rows, whose classes come last, from an array of the shape `whole`."""

    text: str
    whole: tuple[int, ...]
    take: Callable[[Array], Array]

    def copied(self, rows: Array) -> Array:
        """Return `rows` as such a view."""
        view = self.take(np.zeros(self.whole, rows.dtype))
        view[...] = rows
        return view


#: The targets of a language model's next tokens; some classes; some rows, long, short and shorter;
#: images whose channels lie first, as if they lay last.
VIEWS = [
    View("x[:, :-1]", (32, 129, 5000), lambda x: x[:, :-1]),
    View("x[:, :1000]", (32768, 1024), lambda x: x[:, :1000]),
    View("x[::2]", (131072, 257), lambda x: x[::2]),
    View("x[:, :33]", (500_000, 40), lambda x: x[:, :33]),
    View("x[:, :10]", (1_000_000, 16), lambda x: x[:, :10]),
    View("x.transpose(0, 2, 3, 1)", (16, 21, 256, 256), lambda x: x.transpose(0, 2, 3, 1)),
]


def calls(case: Case, view: View) -> Calls:
    """Return the calls that are timed: value, and value and gradient, of both."""
    shape = view.take(np.empty(view.whole, bool)).shape
    y_true, y_pred = case.data(prod(shape[:-1]), shape[-1])
    scores, truth = y_pred.reshape(shape), y_true.reshape(*shape[:-1], *y_true.shape[1:])
    apart, their_truth = view.copied(scores), truth if case.sparse else view.copied(truth)
    out, their_out = np.empty_like(scores), np.empty_like(apart)
    loss = case.loss(**case.options)
    return {
        "value": lambda: loss(truth, scores),
        "value, apart": lambda: loss(their_truth, apart),
        "gradient": lambda: loss.value_and_grad(truth, scores, out=out),
        "gradient, apart": lambda: loss.value_and_grad(their_truth, apart, out=their_out),
    }


def table(found: dict[tuple[str, View], dict[str, float]]) -> str:
    """Return what was measured as Markdown."""
    lines = [
        ([report.LOSSES[name], f"`{view.text}`", lengths(view.whole)], times)
        for (name, view), times in found.items()
    ]
    return comparison(["loss", "view", "of x"], "contiguous", lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = {(case.name, view): measure(calls(case, view)) for case in CASES for view in VIEWS}
    PAGE.write_text(fill(PAGE.read_text(), "views", table(found)))
