"""Short rows to columns and back (AoS/SoA transposition), so that whole registers are used.

A row of three fills a fifth of a register. In columns neighbours are the same element of many rows,
and whatever is done to all rows alike is vector code without shuffles. Rows are loaded and stored
as registers of the next power of two, 16 rows at a time; the excess lanes belong to the rows that
follow. Nothing follows the last row, so if it is the last one of 16 it is moved through a buffer.
The rows that remain are moved element by element. Rows longer than a register gain nothing.
"""

from collections.abc import Callable
from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.intrinsics import cgutils, compiled, data_of
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.simd.codegen import concatenated, lane_range
from fastloss_kernels.simd.transpose import transposed_squares
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types

ROWS_MOVED = 16  # at once
WIDTHS = (4, 8, 16)  # elements of a row, filled up to a power of two


@block
def is_short(width: int, like: Array) -> bool:
    """Return whether rows of `width` elements of the array's dtype can become columns."""
    return width * like.itemsize <= tuning.SHORT_ROW


def to_columns(w: Array, rows: int, width: int, columns: Array, step: int) -> None:
    """Set ``columns[c * step + r]`` to ``w[r * width + c]``.

    For r below `rows` and c below `width`; a row has at most `tuning.SHORT_ROW` bytes. `columns`
    has room for columns up to the next power of two: those from `width` on are overwritten as well.
    """
    for c in range(width):
        columns[c * step : c * step + rows] = w[c : rows * width : width]


def to_rows(w: Array, rows: int, width: int, columns: Array, step: int) -> None:
    """Set ``w[r * width + c]`` to ``columns[c * step + r]``, the inverse of `to_columns`."""
    for c in range(width):
        w[c : rows * width : width] = columns[c * step : c * step + rows]


def _moving_code(w: Any, columns: Any, back: bool) -> Callable[..., Any]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, width, step = args[1], args[2], args[4]
        row_data = data_of(context, builder, w, args[0])
        column_data = data_of(context, builder, columns, args[3])
        itemsize = w.dtype.bitwidth // 8
        zero, one, group = (rows.type(n) for n in (0, 1, ROWS_MOVED))
        with builder.goto_entry_block():
            buffer = builder.alloca(row_data.type.pointee, tuning.SHORT_ROW // itemsize)
        last_row = builder.gep(row_data, [builder.mul(builder.sub(rows, one), width)])

        def vector(data: Any, place: Any, lanes: int) -> Any:
            kind = ir.VectorType(data.type.pointee, lanes).as_pointer()
            return builder.bitcast(builder.gep(data, [place]), kind)

        def copy(source: Any, target: Any) -> None:
            """Copy the last row to the buffer or back, if it is the last one of 16."""
            no_rest = builder.icmp_signed("==", builder.srem(rows, group), zero)
            several = builder.icmp_signed(">", width, one)
            some = builder.and_(builder.icmp_signed(">", rows, zero), several)
            with (
                builder.if_then(builder.and_(no_rest, some)),
                cgutils.for_range_slice(builder, zero, width, one) as (c, _),
            ):
                builder.store(builder.load(builder.gep(source, [c])), builder.gep(target, [c]))

        def squares(first: Any, lanes: int) -> None:
            """Move 16 rows as `lanes` registers, each of which holds 16 / `lanes` of them."""

            def row_place(number: int) -> Any:
                row = builder.add(first, rows.type(number))
                return vector(row_data, builder.mul(row, width), lanes)

            row_places = [
                [row_place(k + n) for n in range(0, ROWS_MOVED, lanes)] for k in range(lanes)
            ]
            is_last = builder.icmp_signed("==", builder.add(first, group), rows)
            in_buffer = vector(buffer, zero, lanes)
            row_places[-1][-1] = builder.select(is_last, in_buffer, row_places[-1][-1])
            column_places = [
                vector(column_data, builder.add(builder.mul(step, rows.type(c)), first), ROWS_MOVED)
                for c in range(lanes)
            ]
            if not back:
                loads = ([builder.load(p, align=itemsize) for p in places] for places in row_places)
                columns = transposed_squares(
                    builder, [concatenated(builder, vectors) for vectors in loads]
                )
                for place, column in zip(column_places, columns, strict=True):
                    builder.store(column, place, align=itemsize)
                return
            columns = [builder.load(place, align=itemsize) for place in column_places]
            registers = transposed_squares(builder, columns)
            for n in range(ROWS_MOVED // lanes):  # in order: each row repairs the one before
                for places, register in zip(row_places, registers, strict=True):
                    row = lane_range(builder, register, n * lanes, lanes)
                    builder.store(row, places[n], align=itemsize)

        if not back:
            copy(last_row, buffer)
        done = cgutils.alloca_once_value(builder, zero)
        builder.store(zero, done)
        least = 1  # rows of one element are columns; two of them would reach beyond the last
        for lanes in (n for n in WIDTHS if n * itemsize <= tuning.SHORT_ROW):
            fits = builder.and_(
                builder.icmp_signed(">", width, rows.type(least)),
                builder.icmp_signed("<=", width, rows.type(lanes)),
            )
            least = lanes
            with builder.if_then(fits):
                last = builder.sub(rows, builder.srem(rows, group))
                with cgutils.for_range_slice(builder, zero, last, group) as (r, _):
                    squares(r, lanes)
                builder.store(last, done)
        with (
            cgutils.for_range_slice(builder, builder.load(done), rows, one) as (r, _),
            cgutils.for_range_slice(builder, zero, width, one) as (c, _),
        ):
            row = builder.gep(row_data, [builder.add(builder.mul(r, width), c)])
            column = builder.gep(column_data, [builder.add(builder.mul(c, step), r)])
            source, target = (column, row) if back else (row, column)
            builder.store(builder.load(source), target)
        if back:
            copy(buffer, last_row)
        return context.get_dummy_value()

    return codegen


@compiled(to_columns)
def _to_columns(typingctx: Any, w: Any, rows: Any, width: Any, columns: Any, step: Any) -> Any:
    kinds = (w, types.intp, types.intp, columns, types.intp)
    return types.void(*kinds), _moving_code(w, columns, False)


@compiled(to_rows)
def _to_rows(typingctx: Any, w: Any, rows: Any, width: Any, columns: Any, step: Any) -> Any:
    kinds = (w, types.intp, types.intp, columns, types.intp)
    return types.void(*kinds), _moving_code(w, columns, True)
