"""Rows of a few elements -> one column for each of these, and back: the way to use whole registers.

A row of three fills a fifth of a register. In columns neighbours are the same element of many rows,
and whatever is done to all rows alike is vector code without shuffles. Rows are read and written as
registers of the next power of two, 16 at a time; what they hold too much belongs to the rows behind
them. Behind the last row there is nothing, so as one of 16 it is moved by way of a box. What is
left of the rows is moved element by element. Rows longer than a register gain nothing.
"""

from collections.abc import Callable
from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.jit import block
from fastloss_kernels.compiler.overloads import inlined, intrinsic
from fastloss_kernels.simd.codegen import data_of, joined, part_of
from fastloss_kernels.simd.transpose import turned
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types
from numba.core import cgutils

GROUP = 16  # rows that are moved at once

WIDTHS = (4, 8, 16)


@block
def is_short(width: int, like: Array) -> bool:
    """Return whether rows of `width` elements of the array's dtype can become columns."""
    return width * like.itemsize <= tuning.SHORT_ROW


def to_columns(w: Array, rows: int, width: int, columns: Array, step: int) -> None:
    """Set ``columns[c * step + r]`` to ``w[r * width + c]``.

    For r below `rows` and c below `width`; a row has at most `SHORT` bytes. `columns` has room for
    columns up to the next power of two: those from `width` on are overwritten as well.
    """
    for c in range(width):
        columns[c * step : c * step + rows] = w[c : rows * width : width]


def to_rows(w: Array, rows: int, width: int, columns: Array, step: int) -> None:
    """Set ``w[r * width + c]`` to ``columns[c * step + r]``: `to_columns` turned back."""
    for c in range(width):
        w[c : rows * width : width] = columns[c * step : c * step + rows]


def _moving_code(w: Any, columns: Any, back: bool) -> Callable[..., Any]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, width, step = args[1], args[2], args[4]
        row_data = data_of(context, builder, w, args[0])
        column_data = data_of(context, builder, columns, args[3])
        itemsize = w.dtype.bitwidth // 8
        zero, one, group = (rows.type(n) for n in (0, 1, GROUP))
        with builder.goto_entry_block():
            box = builder.alloca(row_data.type.pointee, tuning.SHORT_ROW // itemsize)
        last_row = builder.gep(row_data, [builder.mul(builder.sub(rows, one), width)])

        def vector(data: Any, place: Any, lanes: int) -> Any:
            kind = ir.VectorType(data.type.pointee, lanes).as_pointer()
            return builder.bitcast(builder.gep(data, [place]), kind)

        def copy(source: Any, target: Any) -> None:
            """Copy the last row to the box or back, if it is the last one of 16."""
            no_rest = builder.icmp_signed("==", builder.srem(rows, group), zero)
            several = builder.icmp_signed(">", width, one)
            some = builder.and_(builder.icmp_signed(">", rows, zero), several)
            with (
                builder.if_then(builder.and_(no_rest, some)),
                cgutils.for_range_slice(builder, zero, width, one, inc=True) as (c, _),
            ):
                builder.store(builder.load(builder.gep(source, [c])), builder.gep(target, [c]))

        def squares(first: Any, lanes: int) -> None:
            """Move 16 rows as `lanes` registers, each of which holds 16 / `lanes` of them."""
            row_places = [
                [
                    vector(
                        row_data,
                        builder.mul(builder.add(first, rows.type(k + n)), width),
                        lanes,
                    )
                    for n in range(0, GROUP, lanes)
                ]
                for k in range(lanes)
            ]
            is_last = builder.icmp_signed("==", builder.add(first, group), rows)
            row_places[-1][-1] = builder.select(
                is_last, vector(box, zero, lanes), row_places[-1][-1]
            )
            column_places = [
                vector(column_data, builder.add(builder.mul(step, rows.type(c)), first), GROUP)
                for c in range(lanes)
            ]
            if not back:
                registers = [
                    joined(builder, [builder.load(place, align=itemsize) for place in places])
                    for places in row_places
                ]
                for place, register in zip(column_places, turned(builder, registers), strict=True):
                    builder.store(register, place, align=itemsize)
                return
            registers = [builder.load(place, align=itemsize) for place in column_places]
            registers = turned(builder, registers)
            for n in range(GROUP // lanes):  # in the order of the rows: each repairs the one before
                for places, register in zip(row_places, registers, strict=True):
                    row = part_of(builder, register, n * lanes, lanes)
                    builder.store(row, places[n], align=itemsize)

        if not back:
            copy(last_row, box)
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
                with cgutils.for_range_slice(builder, zero, last, group, inc=True) as (r, _):
                    squares(r, lanes)
                builder.store(last, done)
        with (
            cgutils.for_range_slice(builder, builder.load(done), rows, one, inc=True) as (r, _),
            cgutils.for_range_slice(builder, zero, width, one, inc=True) as (c, _),
        ):
            row = builder.gep(row_data, [builder.add(builder.mul(r, width), c)])
            column = builder.gep(column_data, [builder.add(builder.mul(c, step), r)])
            source, target = (column, row) if back else (row, column)
            builder.store(builder.load(source), target)
        if back:
            copy(box, last_row)
        return context.get_dummy_value()

    return codegen


@intrinsic
def _to_columns(typingctx: Any, w: Any, rows: Any, width: Any, columns: Any, step: Any) -> Any:
    kinds = (w, types.intp, types.intp, columns, types.intp)
    return types.void(*kinds), _moving_code(w, columns, False)


@intrinsic
def _to_rows(typingctx: Any, w: Any, rows: Any, width: Any, columns: Any, step: Any) -> Any:
    kinds = (w, types.intp, types.intp, columns, types.intp)
    return types.void(*kinds), _moving_code(w, columns, True)


inlined(to_columns)(
    lambda w, rows, width, columns, step: (
        lambda w, rows, width, columns, step: _to_columns(w, rows, width, columns, step)
    )
)

inlined(to_rows)(
    lambda w, rows, width, columns, step: (
        lambda w, rows, width, columns, step: _to_rows(w, rows, width, columns, step)
    )
)
