"""The error for a keyword that a loss does not take: what it is called here, or who takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)

_OURS = {
    "dim": ("axis",),
    "ignore_index": ("ignore_class",),
    "input": ("y_pred",),
    "labels": ("y_true",),
    "logits": ("y_pred",),
    "preds": ("y_pred",),
    "size_average": ("reduction",),
    "target": ("y_true",),
    "weight": ("class_weight", "sample_weight"),
    "weights": ("class_weight", "sample_weight"),
    "where": ("mask",),
}
"""Keyword of PyTorch, optax or scikit-learn -> ours, of which a loss takes the first it has."""

_classes: dict[str, type] = {}
"""Name of a loss function -> the class of that loss."""


def explains_keywords(function: _Function) -> _Function:
    """Return a loss function or method that explains unknown keywords in its TypeError."""

    @wraps(function)
    def explained(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except TypeError:
            legal = inspect.signature(function).parameters
            unknown = next((keyword for keyword in keywords if keyword not in legal), None)
            if unknown is None:
                raise
            owner = _classes.get(function.__qualname__)
            message = _message(function, owner or type(args[0]), unknown)
        raise TypeError(message)

    return cast("_Function", explained)


def class_explains_keywords(*functions: Callable[..., Any]) -> Callable[[_Class], _Class]:
    """Let the constructor of a class explain unknown keywords; `functions` compute its loss."""

    def decorated(cls: _Class) -> _Class:
        _classes.update((function.__qualname__, cls) for function in functions)
        cls.__init__ = explains_keywords(cls.__init__)  # type: ignore[misc]
        return cls

    return decorated


def _message(function: Callable[..., Any], cls: type[Any], unknown: str) -> str:
    """Return the error of a call of `function`, which belongs to the loss of a class."""
    called = function.__qualname__
    if hasattr(cls, function.__name__):
        called = f"{cls.__name__}.{function.__name__}".removesuffix(".__init__")
    arguments = _arguments(function)
    places = {"it is called {} here": arguments, **_calls(cls)}
    known = sorted({argument for legal in places.values() for argument in legal})
    # difflib's own cutoff, 0.6, takes pos_weight for class_weight, whose ratio is 0.73.
    wanted = _OURS.get(unknown) or get_close_matches(unknown, known, n=1, cutoff=0.8)
    remedies = (
        remedy.format(ours) for remedy, legal in places.items() for ours in wanted if ours in legal
    )
    remedy = next(remedies, f"its arguments are {', '.join(arguments)}")
    return f"{called}() takes no {unknown}: {remedy}"


def _calls(cls: type[Any]) -> dict[str, list[str]]:
    """Return how a class and its instances are called for an option, and the legal options."""
    call = inspect.signature(cls.__call__).parameters.values()
    required = [p.name for p in call if p.default is p.empty and p.name != "self"]
    made, data = f"{cls.__name__}()", ", ".join(required)

    def others(method: Callable[..., Any]) -> list[str]:
        return [name for name in _arguments(method) if name not in required]

    return {
        f"use {cls.__name__}({{}}=...)": _arguments(cls.__init__),
        f"use {made}({data})": required,
        f"use {made}({data}, {{}}=...)": others(cls.__call__),
        f"use {made}.value_and_grad({data}, {{}}=...)": others(cls.value_and_grad),
    }


def _arguments(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_POSITIONAL]
