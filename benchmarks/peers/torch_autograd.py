"""PyTorch, eager and compiled: its own loss where it has one, and autograd's gradient."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from ..cases import Case
from ..contest import Call, Contestant, Ways

Array = NDArray[Any]
Loss = Callable[[Any, Any], Any]


def formulas(functional: Any) -> dict[str, Loss]:
    """Return the mean loss of (x, t) for each case, from torch.nn.functional.

    Probabilities that torch would want as logarithms are divided by their sum after the logarithm
    has been taken: log x - log(sum x), so that the sparse loss needs one logarithm a row.
    """

    def normalised_sparse(x: Any, t: Any) -> Any:
        label = x.gather(1, t[:, None])[:, 0]
        return (x.sum(1).log() - label.log()).mean()

    def normalised_dense(x: Any, t: Any) -> Any:
        return (t.sum(1) * x.sum(1).log() - (t * x.log()).sum(1)).mean()

    def poisson(x: Any, t: Any) -> Any:
        return functional.poisson_nll_loss(x, t, log_input=False, eps=1e-7)

    def kullback_leibler(x: Any, t: Any) -> Any:
        return functional.kl_div(x.log(), t, reduction="batchmean")

    return {
        "sparse_logits": functional.cross_entropy,
        "sparse_probabilities": normalised_sparse,
        "dense_logits": functional.cross_entropy,
        "dense_probabilities": normalised_dense,
        "binary_logits": functional.binary_cross_entropy_with_logits,
        "binary_probabilities": functional.binary_cross_entropy,
        "poisson": poisson,
        "kl_divergence": kullback_leibler,
    }


def _numbers(result: Any) -> tuple[float, Array]:
    value, gradient = result
    return value.item(), gradient.numpy()


def contestants() -> list[Contestant]:
    """Return eager and compiled PyTorch."""
    torch: Any = import_module("torch")
    losses = formulas(torch.nn.functional)

    def ways(loss: Loss, y_true: Array, y_pred: Array) -> dict[str, Ways]:
        x, t = torch.from_numpy(y_pred), torch.from_numpy(y_true)
        leaf = x.detach().requires_grad_()

        def both() -> Any:
            value = loss(leaf, t)
            return value.detach(), torch.autograd.grad(value, leaf)[0]

        value = Call(lambda: loss(x, t), lambda result: (result.item(), None))
        gradient = Call(both, _numbers)
        return {"value": Ways(value, value), "value_and_grad": Ways(gradient, gradient)}

    def eager(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
        return ways(losses[case.name], y_true, y_pred)

    def compiled(case: Case, y_true: Array, y_pred: Array, threads: int) -> dict[str, Ways]:
        # fullgraph: an error, where otherwise the uncompiled function would run unnoticed. reset:
        # it counts how often a function is compiled and stops at eight.
        torch.compiler.reset()
        loss = torch.compile(losses[case.name], dynamic=False, fullgraph=True)
        return ways(loss, y_true, y_pred)

    return [
        Contestant(
            "torch",
            ("torch",),
            value="torch.nn.functional's loss, mean; no graph is recorded",
            gradient="forward with graph, torch.autograd.grad",
            threads="torch.set_num_threads",
            has_out=False,
            prepare=eager,
        ),
        Contestant(
            "torch.compile",
            ("torch",),
            value="the same compiled for this shape; compiling is not timed",
            gradient="compiled forward, compiled backward",
            threads="torch.set_num_threads",
            has_out=False,
            prepare=compiled,
        ),
    ]
