"""JAX: jax.numpy formulas as Optax writes them, differentiated and compiled by jax.jit."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from ..contest import Call, Contestant, Ways

Array = NDArray[Any]
EPSILON = 1e-7  # Keras' addend in the Poisson loss


def formulas(jax: Any) -> dict[str, Callable[[Any, Any], Any]]:
    """Return the mean loss of (x, t) for each case.

    Means are taken along the rows first: one float32 sum over all elements loses three digits.
    """
    jnp = jax.numpy

    def at(x: Any, t: Any) -> Any:
        return jnp.take_along_axis(x, t[:, None], axis=1)[:, 0]

    def mean(losses: Any) -> Any:
        return losses.mean(axis=1).mean()

    def softmax_sparse(x: Any, t: Any) -> Any:
        return (jax.nn.logsumexp(x, axis=1) - at(x, t)).mean()

    def softmax_dense(x: Any, t: Any) -> Any:
        return -(t * jax.nn.log_softmax(x, axis=1)).sum(axis=1).mean()

    def normalised_sparse(x: Any, t: Any) -> Any:
        return (jnp.log(x.sum(axis=1)) - jnp.log(at(x, t))).mean()

    def normalised_dense(x: Any, t: Any) -> Any:
        return (t.sum(axis=1) * jnp.log(x.sum(axis=1)) - (t * jnp.log(x)).sum(axis=1)).mean()

    def logistic(x: Any, t: Any) -> Any:
        return mean(jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x))))

    def bernoulli(x: Any, t: Any) -> Any:
        return mean(-t * jnp.log(x) - (1 - t) * jnp.log1p(-x))

    def poisson(x: Any, t: Any) -> Any:
        return mean(x - t * jnp.log(x + EPSILON))

    def kullback_leibler(x: Any, t: Any) -> Any:
        return (t * jnp.log(t / x)).sum(axis=1).mean()

    return {
        "sparse_logits": softmax_sparse,
        "sparse_probabilities": normalised_sparse,
        "dense_logits": softmax_dense,
        "dense_probabilities": normalised_dense,
        "binary_logits": logistic,
        "binary_probabilities": bernoulli,
        "poisson": poisson,
        "kl_divergence": kullback_leibler,
    }


def contestants() -> list[Contestant]:
    """Return JAX."""
    jax: Any = import_module("jax")
    losses = formulas(jax)

    def prepare(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
        device, loss = jax.devices("cpu")[0], losses[case.name]
        # JAX rounds to float32 unless told not to: here alone, not for the process. What is
        # compiled here keeps its types when it is called outside.
        with jax.enable_x64(y_pred.dtype == np.float64):
            x, t = (jax.device_put(a, device) for a in (y_pred, y_true))
            only = jax.jit(loss).lower(x, t).compile()
            both = jax.jit(jax.value_and_grad(loss)).lower(x, t).compile()
        value = Call(
            lambda: jax.block_until_ready(only(x, t)), lambda result: (float(result), None)
        )
        gradient = Call(
            lambda: jax.block_until_ready(both(x, t)),
            lambda result: (float(result[0]), np.asarray(result[1])),
        )
        return {"value": Ways(value, value), "value_and_grad": Ways(gradient, gradient)}

    return [
        Contestant(
            "JAX jit",
            ("jax", "jaxlib"),
            value="mean loss in jax.numpy under jax.jit; compiling is not timed",
            gradient="jax.value_and_grad, one compiled program",
            threads="the processors that the process is bound to",
            has_out=False,
            prepare=prepare,
        )
    ]
