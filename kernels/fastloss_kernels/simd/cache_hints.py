"""What is asked of the caches: to fetch ahead, and to be passed by. Results never depend on it."""

from typing import Any

from fastloss_kernels.compiler.overloads import compiled
from fastloss_kernels.typing import Array
from llvmlite import ir
from numba import types
from numba.core import cgutils


def stream(source: Array, target: Array, size: int) -> None:
    """Copy ``source[:size]`` to `target`, past the caches: what lies there is not read first."""
    target[:size] = source[:size]


@compiled(stream)
def _stream(typingctx: Any, source: Any, target: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # Stores past the caches have to be aligned: to a whole line, lest lines be written twice.
        itemsize = source.dtype.bitwidth // 8
        lanes = 64 // itemsize
        count = args[2]
        line = count.type(lanes)
        sources, targets = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in ((source, args[0]), (target, args[1]))
        )
        register = ir.VectorType(sources.type.pointee, lanes)
        address = builder.udiv(builder.ptrtoint(targets, count.type), count.type(itemsize))
        before = builder.urem(builder.sub(count.type(0), address), line)
        short = builder.icmp_signed("<", count, before)
        before = builder.select(short, count, before)
        after = builder.sub(count, builder.srem(builder.sub(count, before), line))
        one = count.type(1)
        for first, last in ((count.type(0), before), (after, count)):
            with cgutils.for_range_slice(builder, first, last, one, inc=True) as (k, _):
                builder.store(builder.load(builder.gep(sources, [k])), builder.gep(targets, [k]))
        hint = builder.module.add_metadata([ir.IntType(32)(1)])
        with cgutils.for_range_slice(builder, before, after, line, inc=True) as (k, _):
            place, goal = (
                builder.bitcast(builder.gep(data, [k]), register.as_pointer())
                for data in (sources, targets)
            )
            store = builder.store(builder.load(place, align=itemsize), goal, align=64)
            store.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(source, target, types.intp), codegen


def settle() -> None:
    """Wait until all that was written by `stream` is there for other threads to see."""


@compiled(settle)
def _settle(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


def prefetch(x: Array, start: int, size: int) -> None:
    """Ask for ``x[start:start + size]`` to be brought near; it need not exist. Changes nothing."""


@compiled(prefetch)
def _prefetch(typingctx: Any, x: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        data = context.make_array(x)(context, builder, args[0]).data
        read, second_level, is_data = (ir.Constant(word, n) for n in (0, 2, 1))
        line = ir.Constant(args[2].type, 64 // (x.dtype.bitwidth // 8))
        first = ir.Constant(args[2].type, 0)
        with cgutils.for_range_slice(builder, first, args[2], line, inc=True) as (k, _):
            place = builder.gep(data, [builder.add(args[1], k)])
            builder.call(fetch, [builder.bitcast(place, byte), read, second_level, is_data])
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen
