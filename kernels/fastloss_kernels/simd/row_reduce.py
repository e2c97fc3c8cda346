"""Sums and scaling of short rows in vector registers, in a fixed order and without remainder loops.

LLVM by itself decides how many lanes a sum has, and leaves what does not fill them to scalar code:
most of the time of a row of ten. Here a row is cut into registers of 512 bits, the last of which is
masked, and eight rows are summed at once: what remains of each, a register of eight lanes, becomes
one register of eight sums. Each function stands beside the plain Python that computes the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastloss_kernels import tuning
from fastloss_kernels.compiler.intrinsics import cgutils, compiled, data_of
from fastloss_kernels.simd.codegen import INDEX, Rows, shuffled, splat
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types

ROWS_SUMMED = 8  # at once, and float64 lanes of a register

_DOUBLES = ir.VectorType(ir.DoubleType(), ROWS_SUMMED)

_ZEROS = ir.Constant(_DOUBLES, [0.0] * ROWS_SUMMED)


def row_sums(w: Array, rows: int, width: int, total: Array, lost: Array) -> None:
    """Set total[r] to the sum of ``w[r * width:(r + 1) * width]``, lost[r] to its rounding error.

    The order is fixed by `width` alone. Four registers are added in pairs in w's own dtype, which
    rounds twice at most; then into float64 lanes, which are added in halves at the end. Single
    registers, the last one filled up with zeros, go into the lanes directly. Rounding errors of
    float64 elements are summed in lanes of their own (two-sum); float32 elements have none that
    would show, and `lost` is 0. Both outputs are float64 and have room for `rows` rounded up to a
    multiple of 8.
    """
    _plain_sums(w, rows, width, total, lost, 4)


def row_sums_f64(w: Array, rows: int, width: int, total: Array, lost: Array) -> None:
    """Sum like `row_sums`, but add every element in float64.

    For sums from which a large element will be subtracted again.
    """
    _plain_sums(w, rows, width, total, lost, 1)


def _plain_sums(w: Array, rows: int, width: int, total: Array, lost: Array, group: int) -> None:
    lanes = tuning.REGISTER // w.itemsize
    for r in range(rows):
        row = w[r * width : (r + 1) * width]
        sums, rest = np.zeros(lanes), np.zeros(lanes)
        k = 0
        while k < width:
            if width - k >= group * lanes:
                values = list(row[k : k + group * lanes].reshape(group, lanes))
                k += group * lanes
                while len(values) > 1:
                    values = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
                value = values[0]
            else:
                value = np.zeros(lanes, w.dtype)
                value[: width - k] = row[k : k + lanes]
                k += lanes
            sums, error = _two_sum(sums, value.astype(np.float64))
            rest += error
        while sums.size > 1:
            half = sums.size // 2
            sums, error = _two_sum(sums[:half], sums[half:])
            rest = rest[:half] + rest[half:] + error
        total[r] = sums[0]
        lost[r] = rest[0] if w.itemsize == 8 and rest[0] == rest[0] else 0.0  # NaN: infinities


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return (a + b rounded, the exact rounding error)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


def scale_rows(w: Array, rows: int, width: int, factor: Array) -> None:
    """Multiply each of the rows ``w[r * width:(r + 1) * width]`` by ``factor[r]``."""
    w[: rows * width].reshape(rows, width)[:] *= factor[:rows, None]


class _Sums:
    """Code for vectors of float64 sums: (sums,), or (sums, rounding errors) if compensated."""

    def __init__(self, builder: Any, compensated: bool):
        self.builder, self.compensated = builder, compensated

    def add(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the sum of two such vectors (compensated: two-sum)."""
        builder = self.builder
        total = builder.fadd(a[0], b[0])
        if not self.compensated:
            return (total,)
        gained = builder.fsub(total, a[0])
        kept = builder.fsub(a[0], builder.fsub(total, gained))
        error = builder.fadd(kept, builder.fsub(b[0], gained))
        return total, builder.fadd(builder.fadd(a[1], b[1]), error)

    def halved(self, a: tuple[Any, ...], b: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        """Return each run of `size` lanes of a and b added up to half its length."""
        runs = range(0, a[0].type.count + b[0].type.count, size)
        first = [run + k for run in runs for k in range(size // 2)]
        second = [k + size // 2 for k in first]
        left, right = (
            tuple(shuffled(self.builder, x, y, lanes) for x, y in zip(a, b, strict=True))
            for lanes in (first, second)
        )
        return self.add(left, right)


def _sums_code(w: Any, total: Any, lost: Any, group: int) -> Callable[..., Any]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row_code = Rows(context, builder, w, args[0], args[2])
        sums = _Sums(builder, w.dtype == types.float64)
        outputs = [data_of(context, builder, k, a) for k, a in ((total, args[3]), (lost, args[4]))]
        parts = 2 if sums.compensated else 1
        lanes = ir.VectorType(ir.DoubleType(), row_code.lanes)
        zero = ir.Constant(lanes, [0.0] * row_code.lanes)
        row = [cgutils.alloca_once(builder, lanes) for _ in range(parts)]
        of_rows = [
            cgutils.alloca_once(builder, ir.ArrayType(_DOUBLES, ROWS_SUMMED), zfill=True)
            for _ in range(parts)
        ]
        step = ir.Constant(args[1].type, ROWS_SUMMED)

        def add(value: Any) -> None:
            if not sums.compensated:
                value = builder.fpext(value, lanes)
            after = sums.add(tuple(map(builder.load, row)), (value, zero)[:parts])
            for pointer, vector in zip(row, after, strict=True):
                builder.store(vector, pointer)

        def add_registers(pointers: list[Any]) -> None:
            values = list(map(row_code.load, pointers))
            while len(values) > 1:
                pairs = zip(values[::2], values[1::2], strict=True)
                values = [builder.fadd(a, b) for a, b in pairs]
            add(values[0])

        def one_row(number: Any, place: Any) -> None:
            for pointer in row:
                builder.store(zero, pointer)
            row_code.masked_rest(row_code.registers(number, group, add_registers), add)
            of_row = tuple(map(builder.load, row))
            if row_code.lanes > ROWS_SUMMED:
                low, high = (
                    tuple(shuffled(builder, v, v, [*range(k, k + ROWS_SUMMED)]) for v in of_row)
                    for k in (0, ROWS_SUMMED)
                )
                of_row = sums.add(low, high)
            for array, vector in zip(of_rows, of_row, strict=True):
                builder.store(vector, builder.gep(array, [INDEX(0), place]))

        with cgutils.for_range_slice(builder, step.type(0), args[1], step) as (r, _):
            left = builder.sub(args[1], r)
            count = builder.select(builder.icmp_signed("<", left, step), left, step)
            with cgutils.for_range(builder, count) as loop:
                one_row(builder.add(r, loop.index), loop.index)
            vectors = [
                tuple(builder.load(builder.gep(a, [INDEX(0), INDEX(k)])) for a in of_rows)
                for k in range(ROWS_SUMMED)
            ]
            size = ROWS_SUMMED
            while size > 1:
                pairs = zip(vectors[::2], vectors[1::2], strict=True)
                vectors = [sums.halved(a, b, size) for a, b in pairs]
                size //= 2
            totals, *errors = vectors[0]
            lost_sums = _ZEROS
            if sums.compensated:  # of infinities the error is NaN, and counts as 0
                known = builder.fcmp_ordered("ord", errors[0], errors[0])
                lost_sums = builder.select(known, errors[0], _ZEROS)
            for data, vector in zip(outputs, (totals, lost_sums), strict=True):
                pointer = builder.bitcast(builder.gep(data, [r]), _DOUBLES.as_pointer())
                builder.store(vector, pointer, align=8)
        return context.get_dummy_value()

    return codegen


@compiled(row_sums)
def _row_sums(typingctx: Any, w: Any, rows: Any, width: Any, total: Any, lost: Any) -> Any:
    return types.void(w, types.intp, types.intp, total, lost), _sums_code(w, total, lost, 4)


@compiled(row_sums_f64)
def _row_sums_f64(typingctx: Any, w: Any, rows: Any, width: Any, total: Any, lost: Any) -> Any:
    return types.void(w, types.intp, types.intp, total, lost), _sums_code(w, total, lost, 1)


@compiled(scale_rows)
def _scale_rows(typingctx: Any, w: Any, rows: Any, width: Any, factor: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row_code = Rows(context, builder, w, args[0], args[2])
        factors = data_of(context, builder, factor, args[3])
        with cgutils.for_range(builder, args[1]) as loop:
            one = builder.load(builder.gep(factors, [loop.index]))

            def scale(pointer: Any) -> None:
                value = row_code.load(pointer)
                lanes = splat(builder, one, value.type.count)
                row_code.store(builder.fmul(value, lanes), pointer)

            def scale_registers(pointers: list[Any]) -> None:
                for pointer in pointers:
                    scale(pointer)

            row_code.short_rest(row_code.registers(loop.index, 4, scale_registers), scale)
        return context.get_dummy_value()

    return types.void(w, types.intp, types.intp, factor), codegen
