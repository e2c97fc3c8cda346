"""Row loops spelled out in vector registers: their order is ours and they have no remainder.

LLVM decides by itself how many lanes a sum has, and leaves what does not fill them to scalar code:
most of the time of a row of ten. Here a row is cut into registers of 512 bits (LLVM splits them
where a processor's are shorter), then one of each smaller power of two. Each function stands beside
the plain Python that computes the same.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastloss_kernels.intrinsics import inlined, intrinsic
from fastloss_kernels.typing import Array, Scalar

REGISTER = 64  # bytes


def lane_sum(w: Array, start: int, size: int) -> tuple[float, float]:
    """Return (sum, what it lost by rounding) of ``w[start:start + size]`` in float64.

    The order is fixed by `size` alone. Four registers are added in pairs in w's own dtype, which
    rounds twice at most; then into float64 lanes, which are added in halves at the end. Single
    registers and the shorter rest go into the lanes directly. What float64 lanes lose (two-sum) is
    summed beside them; float32 elements lose nothing that would show, and 0 is returned for it.
    """
    lanes = REGISTER // w.itemsize
    total, lost = np.zeros(lanes), np.zeros(lanes)

    def add(value: Array) -> None:
        width = value.size
        total[:width], error = _two_sum(total[:width], value)
        if w.itemsize == 8:
            lost[:width] += error

    k = start
    while start + size - k >= 4 * lanes:
        a, b, c, d = w[k : k + 4 * lanes].reshape(4, lanes)
        add(((a + b) + (c + d)).astype(np.float64))
        k += 4 * lanes
    while start + size - k >= lanes:
        add(w[k : k + lanes].astype(np.float64))
        k += lanes
    for width in _halves(lanes):
        if size & width:
            add(w[k : k + width].astype(np.float64))
            k += width
    for width in _halves(lanes):
        total, error = _two_sum(total[:width], total[width:])
        lost = lost[:width] + lost[width:] + (error if w.itemsize == 8 else 0.0)
    return float(total[0]), 0.0 if np.isnan(lost[0]) else float(lost[0])  # NaN: from an infinity


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return (a + b rounded, the exact rest)."""
    total = a + b
    gained = total - a
    return total, (a - (total - gained)) + (b - gained)


def scale_row(w: Array, start: int, size: int, factor: Scalar) -> None:
    """Multiply ``w[start:start + size]`` by `factor`."""
    w[start : start + size] *= factor


def _halves(lanes: int) -> Iterator[int]:
    """Return the powers of two below `lanes`, falling."""
    width = lanes // 2
    while width:
        yield width
        width //= 2


class _Row:
    """The elements ``start`` to ``start + size`` of a flat array, in code generation."""

    def __init__(self, context: Any, builder: Any, array: Any, value: Any, start: Any, size: Any):
        self.builder, self.size = builder, size
        self.element = context.get_data_type(array.dtype)
        self.itemsize = array.dtype.bitwidth // 8
        self.lanes = REGISTER // self.itemsize
        self.base = builder.gep(context.make_array(array)(context, builder, value).data, [start])

    def _pointer(self, k: Any, width: int) -> Any:
        vector = ir.VectorType(self.element, width)
        return self.builder.bitcast(self.builder.gep(self.base, [k]), vector.as_pointer())

    def load(self, k: Any, width: int) -> Any:
        """Return the `width` elements from k on."""
        return self.builder.load(self._pointer(k, width), align=self.itemsize)

    def store(self, k: Any, value: Any) -> None:
        """Write a vector to the elements from k on."""
        pointer = self._pointer(k, value.type.count)
        self.builder.store(value, pointer, align=self.itemsize)

    def registers(self, first: Any, count: int, body: Callable[[Any], None]) -> Any:
        """Run `body` at every `count` registers from `first` on; return where it stopped."""
        builder, step = self.builder, self._constant(count * self.lanes)
        rest = builder.srem(builder.sub(self.size, first), step)
        last = builder.sub(self.size, rest)
        with cgutils.for_range_slice(builder, first, last, step, inc=True) as (k, _):
            body(k)
        return last

    def rest(self, first: Any, body: Callable[[Any, int], None]) -> None:
        """Run `body` once for each power of two that the elements from `first` on are made of."""
        place = cgutils.alloca_once_value(self.builder, first)
        for width in _halves(self.lanes):
            bit = self.builder.and_(self.size, self._constant(width))
            with self.builder.if_then(cgutils.is_not_null(self.builder, bit)):
                k = self.builder.load(place)
                body(k, width)
                self.builder.store(self.builder.add(k, self._constant(width)), place)

    def _constant(self, value: int) -> Any:
        return ir.Constant(self.size.type, value)


def _pick(builder: Any, a: Any, b: Any, first: int, count: int) -> Any:
    """Return the lanes ``first ... first + count - 1`` of the vectors a and b, seen as one."""
    indices = list(range(first, first + count))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), count), indices)
    return builder.shuffle_vector(a, b, mask)


@intrinsic
def _lane_sum(typingctx: Any, w: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = _Row(context, builder, w, *args)
        lanes = row.lanes
        zero = ir.Constant(ir.VectorType(ir.DoubleType(), lanes), [0.0] * lanes)
        total = cgutils.alloca_once_value(builder, zero)
        lost = cgutils.alloca_once_value(builder, zero)

        def widen(value: Any) -> Any:
            if row.element == ir.DoubleType():
                return value
            return builder.fpext(value, ir.VectorType(ir.DoubleType(), value.type.count))

        def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
            after = builder.fadd(a, b)
            if row.element != ir.DoubleType():
                return after, ir.Constant(after.type, [0.0] * after.type.count)
            gained = builder.fsub(after, a)
            kept = builder.fsub(a, builder.fsub(after, gained))
            return after, builder.fadd(kept, builder.fsub(b, gained))

        def add(value: Any) -> None:
            after, error = two_sum(builder.load(total), value)
            builder.store(after, total)
            builder.store(builder.fadd(builder.load(lost), error), lost)

        def four(k: Any) -> None:
            a, b, c, d = (
                row.load(builder.add(k, ir.Constant(k.type, n * lanes)), lanes) for n in range(4)
            )
            add(widen(builder.fadd(builder.fadd(a, b), builder.fadd(c, d))))

        def shorter(k: Any, width: int) -> None:
            value = widen(row.load(k, width))
            count = width
            while count < lanes:  # fill up with zeros
                nothing = ir.Constant(value.type, [0.0] * count)
                value = _pick(builder, value, nothing, 0, 2 * count)
                count *= 2
            add(value)

        k = row.registers(ir.Constant(args[2].type, 0), 4, four)
        k = row.registers(k, 1, lambda k: add(widen(row.load(k, lanes))))
        row.rest(k, shorter)
        value, rest = builder.load(total), builder.load(lost)

        def halves(vector: Any, width: int) -> tuple[Any, Any]:
            parts = (_pick(builder, vector, vector, first, width) for first in (0, width))
            return next(parts), next(parts)

        for width in _halves(lanes):
            value, error = two_sum(*halves(value, width))
            rest = builder.fadd(builder.fadd(*halves(rest, width)), error)
        first = ir.Constant(ir.IntType(32), 0)
        rest = builder.extract_element(rest, first)
        summed_infinity = builder.fcmp_unordered("uno", rest, rest)
        rest = builder.select(summed_infinity, ir.Constant(ir.DoubleType(), 0.0), rest)
        pair = (builder.extract_element(value, first), rest)
        return context.make_tuple(builder, signature.return_type, pair)

    result = types.UniTuple(types.float64, 2)
    return result(w, types.intp, types.intp), codegen


@intrinsic
def _scale_row(typingctx: Any, w: Any, start: Any, size: Any, factor: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = _Row(context, builder, w, *args[:3])

        def scale(k: Any, width: int) -> None:
            empty = ir.Constant(ir.VectorType(row.element, width), ir.Undefined)
            at = ir.Constant(ir.IntType(32), 0)
            one = builder.insert_element(empty, args[3], at)
            mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
            row.store(k, builder.fmul(row.load(k, width), builder.shuffle_vector(one, empty, mask)))

        def four(k: Any) -> None:
            for n in range(4):
                scale(builder.add(k, ir.Constant(k.type, n * row.lanes)), row.lanes)

        k = row.registers(ir.Constant(args[2].type, 0), 4, four)
        k = row.registers(k, 1, lambda k: scale(k, row.lanes))
        row.rest(k, scale)
        return context.get_dummy_value()

    return types.void(w, types.intp, types.intp, w.dtype), codegen


inlined(lane_sum)(lambda w, start, size: lambda w, start, size: _lane_sum(w, start, size))
inlined(scale_row)(
    lambda w, start, size, factor: lambda w, start, size, factor: _scale_row(w, start, size, factor)
)
