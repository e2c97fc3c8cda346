"""Names for the types of arguments and results, for annotations of your own.

A loss class is generic in its reduction: `Poisson[Reduced]`, which `Poisson` alone means, is called
for a float, and `Poisson[Unreduced]` for an array. Type checkers infer which from the argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVarTuple, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # type checkers know it; with defaults, as Python 3.13's
else:
    from typing import TypeVar

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""An array of floats, or as in NumPy's own annotations the scalar that stands for one of rank 0."""

Value: TypeAlias = float | FloatArray
"""What a loss returns: reduced, a number, and else an array.

The number is a float64, which is a float. Only with a `dtype` it is a NumPy scalar of that type.
"""

DTypeName: TypeAlias = Literal["float16", "bfloat16", "float32", "float64"]
"""The dtypes that results can have."""

Reduced: TypeAlias = Literal[
    "sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "auto"
]
"""The reductions that give a number."""

Unreduced: TypeAlias = Literal["none"] | None
"""The reductions that keep the array of losses."""

if TYPE_CHECKING:
    Reduction = TypeVar("Reduction", Reduced, Unreduced, default=Reduced)
else:
    Reduction = TypeVar("Reduction", Reduced, Unreduced)

Derivatives = TypeVarTuple("Derivatives")


class WithDerivatives(Protocol[*Derivatives]):
    """What `value_and_grad` and `value_grad_and_hessian` return, called as the function they got.

    A call returns a tuple: the value, then the derivatives.
    """

    @overload
    def __call__(
        self, *args: Any, reduction: Unreduced = None, **options: Any
    ) -> tuple[FloatArray, *Derivatives]: ...

    @overload
    def __call__(
        self, *args: Any, reduction: Reduced, **options: Any
    ) -> tuple[float, *Derivatives]: ...
