"""Eight numbers at a time inside numba functions: the vectors that the ray march is written in.

LLVM does not vectorise a loop with scattered loads and many sums by itself, so the march has its
vectors by name.  ``f32x8`` and ``i32x8`` are LLVM vectors: AVX2 holds one in a register, narrower
machines (SSE, NEON) split it.  Operators work on two vectors of one kind; ``splat`` turns a number
into a vector.  They exist only inside compiled code.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

LANES = 8

_FLOAT, _INT, _INT64, _BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.IntType(8)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_FAST = ("nnan", "ninf", "nsz", "contract", "reassoc", "arcp")


class _Vector(types.Type):
    pass


class _Floats(_Vector):
    def __init__(self) -> None:
        super().__init__(name="f32x8")


class _Ints(_Vector):
    def __init__(self) -> None:
        super().__init__(name="i32x8")


_f32x8, _i32x8 = _Floats(), _Ints()


@register_model(_Floats)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _FLOATS)


@register_model(_Ints)
class _IntsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _INTS)


def _define_operator(python_operator: Any, float_name: str, int_name: str | None) -> None:
    @intrinsic
    def emit(typing_context, a, b):
        if a is _f32x8:
            return a(a, b), lambda _c, builder, _s, args: getattr(builder, float_name)(
                *args, flags=_FAST
            )
        return a(a, b), lambda _c, builder, _s, args: getattr(builder, str(int_name))(*args)

    @overload(python_operator)
    def typed(a, b):
        if a is b and (a is _f32x8 or (a is _i32x8 and int_name)):
            return lambda a, b: emit(a, b)  # noqa: PLW0108 (numba compiles its source)
        return None


_define_operator(operator.add, "fadd", "add")
_define_operator(operator.sub, "fsub", "sub")
_define_operator(operator.mul, "fmul", "mul")
_define_operator(operator.truediv, "fdiv", None)


def _ints(value: int) -> Any:
    return ir.Constant(_INTS, [value] * LANES)


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


@intrinsic
def splat(typing_context, x):
    """Return the same float32 or int32 in every lane."""
    vector, llvm = (_f32x8, _FLOATS) if x == types.float32 else (_i32x8, _INTS)

    def emit(_context, builder, _signature, args):
        empty = ir.Constant(llvm, ir.Undefined)
        first = builder.insert_element(empty, args[0], _INT(0))
        return builder.shuffle_vector(first, empty, _ints(0))

    return vector(x), emit


@intrinsic
def lane_numbers(typing_context):
    """Return 0, 1, ... 7 as float32."""
    ramp = [float(lane) for lane in range(LANES)]
    return _f32x8(), lambda *_: ir.Constant(_FLOATS, ramp)


@intrinsic
def truncate(typing_context, x):
    """Turn floats to ints, towards zero."""
    return _i32x8(x), lambda _c, builder, _s, args: builder.fptosi(args[0], _INTS)


@intrinsic
def to_float(typing_context, x):
    """Turn ints to floats."""
    return _f32x8(x), lambda _c, builder, _s, args: builder.sitofp(args[0], _FLOATS)


@intrinsic
def low_half(typing_context, x):
    """Return the lower 16 bits of each lane."""
    return _i32x8(x), lambda _c, builder, _s, args: builder.and_(args[0], _ints(0xFFFF))


@intrinsic
def high_half(typing_context, x):
    """Return the upper 16 bits of each lane, unsigned."""
    return _i32x8(x), lambda _c, builder, _s, args: builder.lshr(args[0], _ints(16))


@intrinsic
def clamp(typing_context, x, low, high):
    """Limit ``x`` to [low, high], all vectors of floats; NaN becomes ``low``."""

    def emit(_context, builder, _signature, args):
        value, low, high = args
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        return builder.select(builder.fcmp_ordered("<", value, high), value, high)

    return _f32x8(x, low, high), emit


@intrinsic
def keep_between(typing_context, k, end_a, end_b, x):
    """Return ``x`` where ``k`` lies between the two ends (in either order), else 0."""

    def emit(_context, builder, _signature, args):
        k, a, b, value = args
        a_first = builder.fcmp_ordered("<", a, b)
        low, high = builder.select(a_first, a, b), builder.select(a_first, b, a)
        inside = builder.and_(
            builder.fcmp_ordered(">=", k, low), builder.fcmp_ordered("<=", k, high)
        )
        return builder.select(inside, value, ir.Constant(_FLOATS, [0.0] * LANES))

    return _f32x8(k, end_a, end_b, x), emit


@intrinsic
def square_root(typing_context, x):
    """Return the square root of each lane."""

    def emit(_context, builder, _signature, args):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS]), "llvm.sqrt.v8f32"
        )
        return builder.call(function, [args[0]])

    return _f32x8(x), emit


@intrinsic
def gather_pairs(typing_context, array, offset, index):
    """Read elements offset+index and offset+index+1 of a uint16 array as one 32-bit lane."""

    def emit(context, builder, signature, args):
        base = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        result = ir.Constant(_INTS, ir.Undefined)
        for lane in range(LANES):
            # Indices are not negative; extending them with zeros costs no instruction.
            position = builder.zext(builder.extract_element(args[2], _INT(lane)), _INT64)
            pair = builder.load(builder.bitcast(builder.gep(base, [position]), _INT.as_pointer()))
            pair.align = 2
            result = builder.insert_element(result, pair, _INT(lane))
        return result

    return _i32x8(array, types.int64, _i32x8), emit


@intrinsic
def any_lane(typing_context, x):
    """Tell whether any lane of a vector of ints is not 0."""

    def emit(_context, builder, _signature, args):
        set_lanes = builder.icmp_signed("!=", args[0], _ints(0))
        together = builder.bitcast(set_lanes, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", together, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(x), emit


@intrinsic
def lane(typing_context, x, number):
    """Return one lane of a vector, by its number."""
    element = types.float32 if x is _f32x8 else types.int32
    return element(x, types.int64), lambda _c, builder, _s, args: builder.extract_element(*args)


@intrinsic
def first_lane(typing_context, x):
    """Return lane 0 of a vector of ints."""
    return types.int32(x), lambda _c, builder, _s, args: builder.extract_element(args[0], _INT(0))


@intrinsic
def prefetch(typing_context, array, offset):
    """Ask for the cache line of an element; any address is allowed, also outside the array."""

    def emit(context, builder, signature, args):
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT, _INT, _INT]),
            "llvm.prefetch.p0i8",
        )
        address = builder.bitcast(pointer, _BYTE.as_pointer())
        builder.call(function, [address, _INT(0), _INT(3), _INT(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


@intrinsic
def load(typing_context, array, offset):
    """Load lanes of a float32 array, starting at element ``offset``."""

    def emit(context, builder, signature, args):
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        loaded = builder.load(builder.bitcast(pointer, _FLOATS.as_pointer()))
        loaded.align = 4
        return loaded

    return _f32x8(array, types.int64), emit


@intrinsic
def store(typing_context, array, offset, x):
    """Write the lanes to a float32 array, starting at element ``offset``."""

    def emit(context, builder, signature, args):
        pointer = _element_pointer(context, builder, signature.args[0], args[0], args[1])
        instruction = builder.store(args[2], builder.bitcast(pointer, _FLOATS.as_pointer()))
        instruction.align = 4
        return context.get_dummy_value()

    return types.void(array, types.int64, _f32x8), emit
