"""Calls from compiled code to what is compiled on its own, so that no caller holds a copy of it.

Linked in as text, as Numba does with all it calls, a part would be optimised again and made into
machine code in every caller. Instead it is compiled once, by itself, and called in one of two ways.

By symbol: LLVM is told its address under a name that is the same in every process. Whatever holds
such a call and is loaded from a cache, be it a user's own function, first has the part compiled or
loaded.

By address: the loops that serve all losses, the parallel one and the one that packs rows, are
given the part's address as a number.
"""

import hashlib
from functools import partial
from importlib import import_module
from typing import Any

import llvmlite.binding as ll
from fastloss_kernels.compiler.intrinsics import compiled
from fastloss_kernels.compiler.jit import cached_functions, qualified_name
from fastloss_kernels.compiler.part_types import part_types, scratch_types
from numba import types
from numba.core import cgutils


def address(function: Any, kinds: tuple[Any, ...]) -> int:
    """Return where the machine code of a cached function is, compiled for arguments of `kinds`."""
    function.compile(kinds)
    result = function.overloads[kinds]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def call(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return ``function(*arguments)``; compiled code calls it by its symbol."""
    return function(*arguments)


def part_arguments(arguments: tuple[Any, ...]) -> Any:
    """Return what a kernel was given as the types that parts are compiled for."""
    return arguments


def address_of(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the address of a part for (first row, last row, *arguments), of None 0.

    In plain Python the function stands for its address.
    """
    return function


def address_for_scratch(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return `address_of` a part for these arguments once their rows are packed."""
    return function


def call_address(place: Any, first: int, last: int, arguments: tuple[Any, ...]) -> int:
    """Return ``part(first, last, *arguments)`` of the part at an address."""
    return int(place(first, last, *arguments))


def on_stack(arguments: tuple[Any, ...]) -> Any:
    """Return a pointer to a copy of a tuple, which lives as long as the function that calls this.

    In plain Python the tuple stands for its pointer, and for what `as_number` makes of that.
    """
    return arguments


def behind(pointer: Any) -> Any:
    """Return the tuple behind a pointer."""
    return pointer


def as_number(pointer: Any) -> Any:
    """Return a pointer as a number, which parallel loops can hand on."""
    return pointer


def as_pointer(number: Any) -> Any:
    """Return the pointer, to no type in particular, that a number stands for."""
    return number


def _provide(module: str, name: str, kinds: tuple[Any, ...]) -> None:
    """Have a function compiled or loaded, and tell LLVM its address."""
    import_module(module)
    function = cached_functions[name]
    ll.add_symbol(_symbol(name, kinds), address(function, kinds))


def _symbol(name: str, kinds: tuple[Any, ...]) -> str:
    return f"{name}.{hashlib.sha256(str(kinds).encode()).hexdigest()}"


def _declared(context: Any, builder: Any, function: Any, kinds: tuple[Any, ...], kind: Any) -> Any:
    """Return LLVM's declaration of a function that `_provide` finds.

    Relies on `_reload_init`, the functions that Numba calls when a library is loaded from a cache:
    without it the first call after loading would end in an unresolved symbol.
    """
    name = qualified_name(function)
    load = partial(_provide, function.__module__, name, kinds)
    load()
    context.active_code_library._reload_init.add(load)
    return cgutils.get_or_insert_function(builder.module, kind, _symbol(name, kinds))


def _called(context: Any, builder: Any, callee: Any, result: Any, kinds: Any, values: Any) -> Any:
    """Return code for a call in Numba's calling convention, which hands errors on."""
    convention = context.call_conv
    status, value = convention.call_function(builder, callee, result, kinds, values)
    with cgutils.if_unlikely(builder, status.is_error):
        convention.return_status_propagate(builder, status)
    return value


@compiled(part_arguments)
def _part_arguments(typingctx: Any, arguments: Any) -> Any:
    given = tuple(map(types.unliteral, arguments.types))
    kinds = part_types(given)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[0])
        cast = [
            context.cast(builder, value, *pair)
            for value, *pair in zip(values, given, kinds, strict=True)
        ]
        return context.make_tuple(builder, signature.return_type, cast)

    return types.Tuple(kinds)(types.Tuple(given)), codegen


@compiled(call)
def _call(typingctx: Any, function: Any, arguments: Any) -> Any:
    dispatcher = function.dispatcher
    kinds = tuple(map(types.unliteral, arguments.types))
    dispatcher.compile(kinds)
    result = dispatcher.overloads[kinds].signature.return_type
    given = types.Tuple(kinds)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.call_conv.get_function_type(result, kinds)
        callee = _declared(context, builder, dispatcher.py_func, kinds, kind)
        values = cgutils.unpack_tuple(builder, args[1])
        return _called(context, builder, callee, result, kinds, values)

    return result(function, given), codegen


def _address_for(function: Any, arguments: Any, kinds: tuple[Any, ...]) -> Any:
    """Return the definition of an intrinsic: the address of a part for arguments of `kinds`."""
    kinds = (types.intp, types.intp, *kinds)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if function is types.none:
            return context.get_constant(types.intp, 0)
        kind = context.call_conv.get_function_type(types.intp, kinds)
        callee = _declared(context, builder, function.dispatcher.py_func, kinds, kind)
        return builder.ptrtoint(callee, context.get_value_type(types.intp))

    return types.intp(function, arguments), codegen


@compiled(address_of)
def _address_of(typingctx: Any, function: Any, arguments: Any) -> Any:
    return _address_for(function, arguments, tuple(map(types.unliteral, arguments.types)))


@compiled(address_for_scratch)
def _address_for_scratch(typingctx: Any, function: Any, arguments: Any) -> Any:
    return _address_for(function, arguments, scratch_types(arguments.types))


@compiled(call_address)
def _call_address(typingctx: Any, place: Any, first: Any, last: Any, arguments: Any) -> Any:
    kinds = (types.intp, types.intp, *arguments.types)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.call_conv.get_function_type(types.intp, kinds)
        callee = builder.inttoptr(args[0], kind.as_pointer())
        values = (args[1], args[2], *cgutils.unpack_tuple(builder, args[3]))
        return _called(context, builder, callee, types.intp, kinds, values)

    return types.intp(types.intp, types.intp, types.intp, arguments), codegen


@compiled(on_stack)
def _on_stack(typingctx: Any, arguments: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.alloca_once_value(builder, args[0])

    return types.CPointer(arguments)(arguments), codegen


@compiled(behind)
def _behind(typingctx: Any, pointer: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(args[0])

    return pointer.dtype(pointer), codegen


@compiled(as_number)
def _as_number(typingctx: Any, pointer: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], context.get_value_type(types.intp))

    return types.intp(pointer), codegen


@compiled(as_pointer)
def _as_pointer(typingctx: Any, number: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.intp), codegen
