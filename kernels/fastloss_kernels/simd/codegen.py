"""Code generation for vector registers, as `row_reduce` and the transpositions share it."""

from collections.abc import Callable
from typing import Any

from fastloss_kernels import tuning
from fastloss_kernels.compiler.intrinsics import cgutils, data_of
from llvmlite import ir

INDEX = ir.IntType(32)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """Return a vector with `value` in every lane."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, value, INDEX(0))
    return shuffled(builder, one, one, [0] * lanes)


def shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Return a shuffle of the vectors a and b: the named lanes of both, numbered through."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(lanes)), lanes))


def concatenated(builder: Any, vectors: list[Any]) -> Any:
    """Return vectors of one length, a power of two of them, as one."""
    while len(vectors) > 1:
        lanes = [*range(2 * vectors[0].type.count)]
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [shuffled(builder, a, b, lanes) for a, b in pairs]
    return vectors[0]


def lane_range(builder: Any, vector: Any, first: int, lanes: int) -> Any:
    """Return `lanes` lanes of a vector, beginning with `first`."""
    return shuffled(builder, vector, vector, [*range(first, first + lanes)])


class Rows:
    """Code that visits the rows of a flat array register by register."""

    def __init__(self, context: Any, builder: Any, array: Any, value: Any, width: Any):
        self.builder, self.width = builder, width
        self.element = context.get_data_type(array.dtype)
        self.itemsize = array.dtype.bitwidth // 8
        self.lanes = tuning.REGISTER // self.itemsize
        self.data = data_of(context, builder, array, value)

    def registers(self, row: Any, group: int, body: Callable[[list[Any]], None]) -> Any:
        """Call `body` with pointers to `group` registers at a time, then to one.

        Returns the index of the remainder, which is shorter than a register.
        """
        builder = self.builder
        start = builder.mul(row, self.width)
        first = self._size(0)
        for count in sorted({group, 1}, reverse=True):
            step = self._size(count * self.lanes)
            last = builder.sub(self.width, builder.srem(self.width, step))
            with cgutils.for_range_slice(builder, first, last, step) as (k, _):
                place = builder.add(start, k)
                body([self._pointer(place, n * self.lanes, self.lanes) for n in range(count)])
            first = last
        return builder.add(start, first)

    def masked_rest(self, place: Any, body: Callable[[Any], None]) -> None:
        """Call `body` with a masked load of the remainder, filled up with zeros."""
        builder = self.builder
        rest = builder.srem(self.width, self._size(self.lanes))
        with builder.if_then(cgutils.is_not_null(builder, rest)):
            numbers = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
            end = splat(builder, builder.trunc(rest, INDEX), self.lanes)
            pointer = self._pointer(place, 0, self.lanes)
            zero = ir.Constant(ir.VectorType(self.element, self.lanes), [0.0] * self.lanes)
            mask = builder.icmp_signed("<", numbers, end)
            arguments = [pointer, INDEX(self.itemsize), mask, zero]
            kind = ir.FunctionType(zero.type, [a.type for a in arguments])
            name = f"llvm.masked.load.v{self.lanes}f{8 * self.itemsize}.p0"
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            body(builder.call(function, arguments))

    def short_rest(self, place: Any, body: Callable[[Any], None]) -> None:
        """Call `body` with pointers to the remainder, in vectors of 8, 4, 2, 1 elements or less.

        Their lengths are the powers of two that its length is the sum of. A masked store would make
        the next row's load wait for it, though they share no element.
        """
        builder = self.builder
        at = cgutils.alloca_once_value(builder, place)
        builder.store(place, at)
        width = self.lanes // 2
        while width:
            bit = builder.and_(self.width, self._size(width))
            with builder.if_then(cgutils.is_not_null(builder, bit)):
                here = builder.load(at)
                body(self._pointer(here, 0, width))
                builder.store(builder.add(here, self._size(width)), at)
            width //= 2

    def load(self, pointer: Any) -> Any:
        """Return the vector at an address that need not be aligned."""
        return self.builder.load(pointer, align=self.itemsize)

    def store(self, value: Any, pointer: Any) -> None:
        """Write a vector to an address that need not be aligned."""
        self.builder.store(value, pointer, align=self.itemsize)

    def _pointer(self, place: Any, offset: int, lanes: int) -> Any:
        pointer = self.builder.gep(self.data, [self.builder.add(place, self._size(offset))])
        return self.builder.bitcast(pointer, ir.VectorType(self.element, lanes).as_pointer())

    def _size(self, value: int) -> Any:
        return ir.Constant(self.width.type, value)
