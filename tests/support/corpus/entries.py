"""Every way to hand a case in: what it returns, and whether it can take the case at all.

An entry gives the value and the gradient, None for the one it does not compute.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastloss as fl
from corpus.cases import LOSSES, Case

Result = tuple[Any, Any]
ARRAYS = ("sample_weight", "mask")
GRADIENT = ("upstream", "out")


@dataclass(frozen=True)
class Entry:
    """A way in. `takes` names the arguments beside y_true, y_pred and the loss' own options."""

    name: str
    takes: frozenset[str]
    call: Callable[[Case, dict[str, Any]], Result]
    options_only: bool = False

    def fits(self, case: Case) -> bool:
        """Return whether every argument of the case can be handed in here."""
        needed = case.given.keys() - {"y_true", "y_pred"} - case.options.keys()
        return self.takes.issuperset(needed) and (not self.options_only or bool(case.options))


def _function(case: Case, out: dict[str, Any]) -> Result:
    function = LOSSES[case.loss].function
    return function(case.argument("y_true"), case.argument("y_pred"), **case.options), None


def _function_gradient(case: Case, out: dict[str, Any]) -> Result:
    both = fl.value_and_grad(LOSSES[case.loss].function)
    more = case.some(*ARRAYS, *GRADIENT, "reduction", "dtype")
    return both(case.argument("y_true"), case.argument("y_pred"), **{**out, **more}, **case.options)


def _loss(case: Case) -> fl.Loss:
    settings = {"reduction": None, **case.some("reduction", "dtype", "name")}
    return LOSSES[case.loss].cls(**settings, **case.options)


def _class(case: Case, out: dict[str, Any]) -> Result:
    arrays = case.some(*ARRAYS)
    return _loss(case)(case.argument("y_true"), case.argument("y_pred"), **arrays), None


def _class_gradient(case: Case, out: dict[str, Any]) -> Result:
    more = {**out, **case.some(*ARRAYS, *GRADIENT)}
    loss = _loss(case)
    return loss.value_and_grad(case.argument("y_true"), case.argument("y_pred"), **more)


def _configuration(case: Case, out: dict[str, Any]) -> Result:
    """Go through `get` and a configuration, as saved models do."""
    config = {"reduction": None, **case.some("reduction", "dtype", "name"), **case.options}
    loss = fl.get({"class_name": LOSSES[case.loss].cls.__name__, "config": config})
    assert isinstance(loss, fl.Loss)
    return loss(case.argument("y_true"), case.argument("y_pred"), **case.some(*ARRAYS)), None


SETTINGS = {"reduction", "dtype", "name"}
ENTRIES = [
    Entry("function", frozenset(), _function),
    Entry(
        "value_and_grad(function)",
        frozenset({*ARRAYS, *GRADIENT, "reduction", "dtype"}),
        _function_gradient,
    ),
    Entry("class", frozenset({*ARRAYS, *SETTINGS}), _class),
    Entry("class, value_and_grad", frozenset({*ARRAYS, *GRADIENT, *SETTINGS}), _class_gradient),
    Entry("configuration", frozenset({*ARRAYS, *SETTINGS}), _configuration, options_only=True),
]
