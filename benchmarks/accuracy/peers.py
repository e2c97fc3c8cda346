"""The same losses and functions by other libraries: whatever is installed, by its name.

Each library computes what its users would write. A loss that a library does not have, or defines in
another way (torch clips probabilities elsewhere, for instance), is left out.
"""

import contextlib
import importlib
import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.losses import Compute, Pair
from benchmarks.cases import Case

Array = NDArray[Any]
EPS = 1e-7


def torch_losses(torch: Any) -> Compute:
    """Return what torch computes, with autograd."""
    f = torch.nn.functional
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "sparse_logits": lambda t, x: f.cross_entropy(x, t, reduction="none"),
        "dense_logits": lambda t, x: f.cross_entropy(x, t, reduction="none"),
        "binary_logits": lambda t, x: f.binary_cross_entropy_with_logits(
            x, t, reduction="none"
        ).mean(-1),
        "poisson": lambda t, x: f.poisson_nll_loss(
            x, t, log_input=False, eps=EPS, reduction="none"
        ).mean(-1),
    }

    def compute(case: Case, targets: Array, x: Array) -> Pair | None:
        if case.name not in functions:
            return None
        t, logits = torch.from_numpy(targets), torch.from_numpy(x).requires_grad_()
        losses = functions[case.name](t, logits)
        losses.sum().backward()
        return losses.detach().numpy(), logits.grad.numpy()

    return compute


def jax_losses(jax: Any) -> Compute:
    """Return what JAX computes from its own log_softmax, log_sigmoid and xlogy, with its grad."""
    jnp, nn = jax.numpy, jax.nn
    xlogy = jax.scipy.special.xlogy
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "sparse_logits": lambda t, x: -jnp.take_along_axis(nn.log_softmax(x), t[:, None], 1)[:, 0],
        "dense_logits": lambda t, x: -(t * nn.log_softmax(x)).sum(-1),
        "binary_logits": lambda t, x: (-t * nn.log_sigmoid(x) - (1 - t) * nn.log_sigmoid(-x)).mean(
            -1
        ),
        "poisson": lambda t, x: (x - xlogy(t, x + jnp.asarray(EPS, x.dtype))).mean(-1),
    }
    return _differentiated(jax, functions)


def keras_losses(jax: Any, keras: Any) -> Compute:
    """Return what Keras computes on JAX, with JAX's grad."""

    def function(case_function: str, **options: Any) -> Callable[[Any, Any], Any]:
        return lambda t, x: getattr(keras.losses, case_function)(t, x, **options)

    sparse, dense = "sparse_categorical_crossentropy", "categorical_crossentropy"
    return _differentiated(
        jax,
        {
            "sparse_logits": function(sparse, from_logits=True),
            "dense_logits": function(dense, from_logits=True),
            "binary_logits": function("binary_crossentropy", from_logits=True),
            "sparse_probabilities": function(sparse),
            "dense_probabilities": function(dense),
            "binary_probabilities": function("binary_crossentropy"),
            "poisson": function("poisson"),
            "kl_divergence": function("kl_divergence"),
        },
    )


def _differentiated(jax: Any, functions: dict[str, Callable[[Any, Any], Any]]) -> Compute:
    def both(function: Callable[[Any, Any], Any]) -> Any:
        def losses_and_slopes(t: Any, x: Any) -> Any:
            losses, back = jax.vjp(lambda x: function(t, x), x)
            return losses, back(jax.numpy.ones_like(losses))[0]

        return jax.jit(losses_and_slopes)

    compiled = {name: both(function) for name, function in functions.items()}

    def compute(case: Case, targets: Array, x: Array) -> Pair | None:
        if case.name not in compiled:
            return None
        losses, slopes = compiled[case.name](targets, x)
        return np.asarray(losses), np.asarray(slopes)

    return compute


def scipy_losses(special: Any) -> Compute:
    """Return what scipy.special makes easy: log_softmax, log_expit and rel_entr."""

    def softmax(t: Array, x: Array) -> Pair:
        t = t if t.ndim == 2 else (t[:, np.newaxis] == np.arange(x.shape[1])).astype(x.dtype)
        losses = -(t * special.log_softmax(x, axis=1)).sum(axis=1)
        return losses, t.sum(axis=1, keepdims=True) * special.softmax(x, axis=1) - t

    def logistic(t: Array, x: Array) -> Pair:
        losses = -t * special.log_expit(x) - (1 - t) * special.log_expit(-x)
        return losses.mean(axis=1), (special.expit(x) - t) / x.dtype.type(x.shape[1])

    def divergence(t: Array, x: Array) -> Pair:
        u, p = np.clip(t, x.dtype.type(EPS), 1), np.clip(x, x.dtype.type(EPS), 1)
        return special.rel_entr(u, p).sum(axis=1), -(u / p) * (x == p)

    functions = {
        "sparse_logits": softmax,
        "dense_logits": softmax,
        "binary_logits": logistic,
        "kl_divergence": divergence,
    }

    def compute(case: Case, targets: Array, x: Array) -> Pair | None:
        with np.errstate(all="ignore"):
            return functions[case.name](targets, x) if case.name in functions else None

    return compute


def losses() -> dict[str, Compute]:
    """Return what computes losses, by library, for the libraries that are installed."""
    found: dict[str, Compute] = {}
    with contextlib.suppress(ImportError):
        found["torch"] = torch_losses(importlib.import_module("torch"))
    with contextlib.suppress(ImportError):
        jax = _jax()
        found["JAX"] = jax_losses(jax)
        os.environ["KERAS_BACKEND"] = "jax"
        found["Keras"] = keras_losses(jax, importlib.import_module("keras"))
    with contextlib.suppress(ImportError):
        found["SciPy"] = scipy_losses(importlib.import_module("scipy.special"))
    return found


def elementary(name: str) -> dict[str, Callable[[Array, Array], Array]]:
    """Return an elementary function of float32 arrays, by library."""
    numpy_function = getattr(np, name)
    found: dict[str, Callable[[Array, Array], Array]] = {"NumPy": lambda x, y: numpy_function(x)}
    with contextlib.suppress(ImportError):
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)  # the sweep has threads of its own
        torch_function = getattr(torch, name)
        found["torch"] = lambda x, y: torch_function(torch.from_numpy(x)).numpy()
    with contextlib.suppress(ImportError):
        jax_function = _jax().jit(getattr(_jax().numpy, name))
        found["JAX"] = lambda x, y: np.asarray(jax_function(x))
    return found


def _jax() -> Any:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)  # else float64 becomes float32
    return jax


def packages() -> list[str]:
    """Return the peers that are installed, by the names of their packages."""
    names = {item.metadata["Name"].lower() for item in metadata.distributions()}
    return [name for name in ("torch", "jax", "keras", "scipy") if name in names]
