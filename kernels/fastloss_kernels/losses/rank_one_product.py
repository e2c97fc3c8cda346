"""The Hessian of a row times a vector, where it is diagonal but for a term of rank one.

With the diagonal d of ``diag(f) - c 1 1^T``, f = d + c, and a vector v the product is

    f_j v_j - c sum_i v_i = d_j v_j - c sum_{i != j} v_i.

The right side does not cancel where d_j is small beside c, as it is where a prediction is right.
Elementwise losses have c = 0.
"""

from typing import Any

import numpy as np
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.loops.kernel import kernel, run_part
from fastloss_kernels.loops.packed import packed_part
from fastloss_kernels.loops.row_inputs import Batch
from fastloss_kernels.loops.rows import rows_part
from fastloss_kernels.memory.layout import piece_size
from fastloss_kernels.memory.rows import Block, load_block
from fastloss_kernels.memory.streaming import write_chunk
from fastloss_kernels.reductions.sum_rows import add_rows_f64
from fastloss_kernels.simd.raw_arrays import fill, row_array
from fastloss_kernels.typing import Array


@block
def _add_rank_one(v: Array, c: float, total: float, lost: float, products: Array) -> None:
    """Subtract c times the sum of a row's other elements from `products`, which are d v."""
    for k in range(v.size):
        others = (total - np.float64(v[k])) + lost
        less = c * others if others != 0 else 0.0  # c may be infinite
        products[k] = products.dtype.type(np.float64(products[k]) - less)


@block
def _block(b: Block, batch: Batch, options: Any, grad: Array | None) -> None:
    rows, classes = b.rows, b.classes
    piece, products = piece_size(classes), b.scratch.temporaries
    fill(b.loss, 0)
    if grad is not None:
        v = load_block(batch.targets, b.first, rows, b.scratch.targets)
        total, lost = row_array(), row_array()
        diagonal = True
        for r in range(rows):
            diagonal &= b.scale[r] == 0
        if not diagonal:
            for c in range(0, classes, piece):
                size = rows * min(piece, classes - c)
                add_rows_f64(v[c : c + size], rows, c == 0, total, lost)
        for c in range(0, classes, piece):
            width = min(piece, classes - c)
            size = rows * width
            d, u = b.x[c : c + size], v[c : c + size]
            for k in range(size):
                products[k] = d[k] * u[k]
            if not diagonal:
                for r in range(rows):
                    row = slice(r * width, (r + 1) * width)
                    if b.scale[r] != 0:
                        _add_rank_one(u[row], b.scale[r], total[r], lost[r], products[row])
            write_chunk(products, b.out[c : c + size], size, b.streamed)


rows = rows_part(__name__, "rows", _block, temporaries=1, one_pass=True)
packed = packed_part(__name__, "packed", rows)


@kernel(rows, packed, packed)
def rank_one_product(
    x: Array,
    targets: Array,
    scale: Array,
    keep: Array,
    loss: Array,
    grad: Array | None,
    threads: int,
) -> None:
    """Product of a Hessian, diagonal but for a term of rank one, and a vector.

    Row i of the n = outer * inner rows is ``x[i // inner, :, i % inner]``; the formulas stand at
    the top of this module.

    Parameters
    ----------
    x : (outer, classes, inner) float32 or float64
        The diagonal of the Hessian. Any strides; may be read-only.
    targets : (outer, classes, inner), loss's dtype
        The vector v. Any strides, 0 included.
    scale : (1,) or (n,) float64
        The coefficient c of each row; 0 where the Hessian is diagonal.
    keep : (1,) or (n,) bool
        Rows to compute. Others get zeros and are not looked at.
    loss : (n,), x's dtype
        Receives 0.
    grad : None or (outer, classes, inner), x's dtype
        Receives the product. It is x itself, or shares no memory with any input.
    threads : int
        How many threads share the rows; 1 is a plain loop. No result depends on it.

    Notes
    -----
    Error of an element: at most 2 ulp of the sum of the sizes of its terms. NaN gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastloss_kernels import rank_one_product
    >>> diagonal = np.array([[3.0, -1.0]]).reshape(1, 2, 1)
    >>> vector, none, product = np.full((1, 2, 1), 2.0), np.empty(1), np.empty((1, 2, 1))
    >>> rank_one_product(diagonal, vector, np.ones(1), np.ones(1, bool), none, product, 1)
    >>> product.ravel()
    array([ 4., -4.])
    """
    run_part(None, packed, threads, (x, targets, (), scale, keep, loss, grad))
