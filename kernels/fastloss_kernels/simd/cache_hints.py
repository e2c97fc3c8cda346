"""Prefetch, non-temporal stores and the fence they need. Results never depend on them."""

from typing import Any

from fastloss_kernels.compiler.intrinsics import cgutils, compiled, data_of
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types

LINE = 64  # bytes of a cache line


def store_nontemporal(source: Array, target: Array, size: int) -> None:
    """Copy ``source[:size]`` to `target` with non-temporal stores: its lines are not read first."""
    target[:size] = source[:size]


@compiled(store_nontemporal)
def _store_nontemporal(typingctx: Any, source: Any, target: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Non-temporal stores have to be aligned: to a whole line, lest lines be written twice.
        itemsize = source.dtype.bitwidth // 8
        lanes = LINE // itemsize
        count = args[2]
        line = count.type(lanes)
        sources = data_of(context, builder, source, args[0])
        targets = data_of(context, builder, target, args[1])
        register = ir.VectorType(sources.type.pointee, lanes)
        address = builder.udiv(builder.ptrtoint(targets, count.type), count.type(itemsize))
        before = builder.urem(builder.sub(count.type(0), address), line)
        short = builder.icmp_signed("<", count, before)
        before = builder.select(short, count, before)
        after = builder.sub(count, builder.srem(builder.sub(count, before), line))
        one = count.type(1)
        for first, last in ((count.type(0), before), (after, count)):
            with cgutils.for_range_slice(builder, first, last, one) as (k, _):
                builder.store(builder.load(builder.gep(sources, [k])), builder.gep(targets, [k]))
        hint = builder.module.add_metadata([ir.IntType(32)(1)])
        with cgutils.for_range_slice(builder, before, after, line) as (k, _):
            place, goal = (
                builder.bitcast(builder.gep(data, [k]), register.as_pointer())
                for data in (sources, targets)
            )
            store = builder.store(builder.load(place, align=itemsize), goal, align=LINE)
            store.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(source, target, types.intp), codegen


def store_fence() -> None:
    """Wait until other threads can see all that `store_nontemporal` wrote."""


@compiled(store_fence)
def _store_fence(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


def prefetch(x: Array, start: int, size: int) -> None:
    """Prefetch ``x[start:start + size]``, which need not exist, into the second-level cache."""


@compiled(prefetch)
def _prefetch(typingctx: Any, x: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        data = data_of(context, builder, x, args[0])
        read, second_level, is_data = (ir.Constant(word, n) for n in (0, 2, 1))
        line = ir.Constant(args[2].type, LINE // (x.dtype.bitwidth // 8))
        first = ir.Constant(args[2].type, 0)
        with cgutils.for_range_slice(builder, first, args[2], line) as (k, _):
            place = builder.gep(data, [builder.add(args[1], k)])
            builder.call(fetch, [builder.bitcast(place, byte), read, second_level, is_data])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen
