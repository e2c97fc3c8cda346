"""Class-major rows to contiguous rows and back: a transposition in vector registers."""

from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.intrinsics import cgutils, compiled, data_of
from fastloss_kernels.simd.codegen import shuffled
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types


def transposed_squares(builder: Any, registers: list[Any]) -> list[Any]:
    """Return n registers, each n-by-n square of them transposed.

    In log2(n) steps the off-diagonal blocks of half the size are exchanged.
    """
    registers = list(registers)
    lanes, half = registers[0].type.count, len(registers) // 2
    while half:
        for n in (n for n in range(len(registers)) if not n & half):
            a, b = registers[n], registers[n + half]
            upper = [lanes + k - half if k & half else k for k in range(lanes)]
            lower = [lanes + k if k & half else k + half for k in range(lanes)]
            registers[n], registers[n + half] = (shuffled(builder, a, b, k) for k in (upper, lower))
        half //= 2
    return registers


def transpose(
    source: Array, source_step: int, target: Array, target_step: int, lines: int, width: int
) -> None:
    """Set ``target[k * target_step + c]`` to ``source[c * source_step + k]``.

    For c below `lines` and k below `width`; both arrays are flat and steps count elements. If both
    numbers fill a register, squares of registers are transposed instead of single elements. The
    last square ends where the array does, and overlaps the one before.
    """
    for c in range(lines):
        for k in range(width):
            target[k * target_step + c] = source[c * source_step + k]


@compiled(transpose)
def _transpose(
    typingctx: Any, source: Any, step: Any, target: Any, target_step: Any, lines: Any, width: Any
) -> Any:
    lanes = tuning.REGISTER // (source.dtype.bitwidth // 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sources, step, targets, target_step, lines, width = args
        sources = data_of(context, builder, source, sources)
        targets = data_of(context, builder, target, targets)
        register = ir.VectorType(sources.type.pointee, lanes).as_pointer()
        itemsize = source.dtype.bitwidth // 8
        one, side = lines.type(1), lines.type(lanes)

        def at(data: Any, number: Any, step: Any, place: Any) -> Any:
            return builder.gep(data, [builder.add(builder.mul(number, step), place)])

        def start(wanted: Any, length: Any) -> Any:
            last = builder.sub(length, side)
            return builder.select(builder.icmp_signed("<", wanted, last), wanted, last)

        def square(c: Any, k: Any) -> None:
            rows = []
            for n in range(lanes):
                pointer = at(sources, builder.add(c, lines.type(n)), step, k)
                rows.append(builder.load(builder.bitcast(pointer, register), align=itemsize))
            rows = transposed_squares(builder, rows)
            for n in range(lanes):
                pointer = at(targets, builder.add(k, lines.type(n)), target_step, c)
                builder.store(rows[n], builder.bitcast(pointer, register), align=itemsize)

        fits = (builder.icmp_signed(">=", n, side) for n in (lines, width))
        with builder.if_else(builder.and_(*fits)) as (squares, elements):
            with (
                squares,
                cgutils.for_range_slice(builder, lines.type(0), lines, side) as (c, _),
                cgutils.for_range_slice(builder, lines.type(0), width, side) as (k, _),
            ):
                square(start(c, lines), start(k, width))
            with (
                elements,
                cgutils.for_range_slice(builder, lines.type(0), lines, one) as (c, _),
                cgutils.for_range_slice(builder, lines.type(0), width, one) as (k, _),
            ):
                builder.store(builder.load(at(sources, c, step, k)), at(targets, k, target_step, c))
        return context.get_dummy_value()

    kinds = (source, types.intp, target, types.intp, types.intp, types.intp)
    return types.void(*kinds), codegen
