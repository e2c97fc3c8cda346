"""That the kernels are fast is timed elsewhere; here is why: their loops are vector code.

What LLVM made of each kernel's share of the rows is read. A loop that falls back to one element at
a time leaves its scalar form alone, which stands beside every vector loop, for the last elements.
"""

import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

import fastloss_kernels
import numba
import numpy as np
import pytest
from fastloss_kernels.compiler.lowering import PartCompiler
from fastloss_kernels.launch import signature
from fastloss_kernels.loops.packed import pack_rows
from llvmlite.binding import get_host_cpu_features
from processes import run

X = np.ones((2, 5, 1), np.float32)
LABELS, NONE, EPS = np.zeros(2, np.int64), np.empty(0, np.float32), 1e-7
# kernel, which of its parts, targets, options
PARTS = {
    "sparse_logits": ("softmax_crossentropy_sparse", "rows", LABELS, ()),
    "sparse_logits, few classes": ("softmax_crossentropy_sparse", "short_rows", LABELS, ()),
    "dense_logits": ("softmax_crossentropy_dense", "rows", X, (NONE, 0.0)),
    "sparse_probabilities": ("probability_crossentropy_sparse", "rows", LABELS, (EPS,)),
    "dense_probabilities": ("probability_crossentropy_dense", "rows", X, (NONE, 0.0, EPS)),
    "binary_logits": ("binary_crossentropy_logits", "rows", X, (NONE, 0.0)),
    "binary_probabilities": ("binary_crossentropy", "rows", X, (NONE, 0.0, EPS)),
    "poisson": ("poisson", "rows", X, (EPS,)),
    "kl_divergence": ("kullback_leibler", "rows", X, (EPS,)),
}
PARTS["packed"] = ("softmax_crossentropy_sparse", "packed", LABELS, ())  # all have one loop
PARTS |= {
    f"{name}, columns": (kernel, "columns", targets, options)
    for name, (kernel, part, targets, options) in PARTS.items()
    if part == "rows" and name != "dense_probabilities"
}
# Multiplications with an addition, the bulk of every exponential and logarithm.
PACKED = {
    "x86_64": r"\bvfn?m(?:add|sub)\d+p[sd]\b[^\n]*%[yz]mm",  # 256 or 512 bits
    "aarch64": r"\bfml[as]\s+v\d+\.(?:4s|2d)",
}
SCALAR = {
    "x86_64": r"\bvfn?m(?:add|sub)\d+s[sd]\b",
    "aarch64": r"\bfn?m(?:add|sub)\s+[sd]\d",
}
MACHINE = platform.machine().replace("AMD64", "x86_64").replace("arm64", "aarch64")
ONCE = 2 * 13  # the logarithms of the two bounds of a probability, taken once a call
# Smoothing takes two of them an element, with weights four, and what a vector loop leaves, up to
# seven elements, is unrolled: in each pass over the targets.
LEFT = (2 + 4) * 8
OF_A_ROW = 1  # what rounding takes from the factor of a row's gradient

pytestmark = pytest.mark.skipif(
    MACHINE not in PACKED or "NUMBA_DISABLE_JIT" in os.environ,
    reason="written for x86-64 with AVX2 and for NEON, and for compiled kernels",
)


@cache
def machine_code(part, dtype="float32"):
    """Return (assembly, LLVM's language) of one kernel's share of the rows, with gradient."""
    x = X.astype(dtype)
    kernel, which, targets, options = PARTS[part]
    loss, grad = np.empty(2, np.float32), np.empty_like(x)
    kinds = signature((x, targets, options, np.ones(1), np.ones(1, bool), loss, grad))
    if which == "packed":
        cached, kinds = pack_rows, (*4 * [numba.intp], numba.types.Tuple(kinds))
    else:
        cached = getattr(getattr(fastloss_kernels, kernel).parts, which)
        kinds = (numba.intp, numba.intp, *kinds)
    again = numba.njit(nogil=True, error_model="numpy", pipeline_class=PartCompiler)
    share = again(cached.py_func)  # the cache has no text
    share.compile(kinds)
    return share.inspect_asm(kinds), share.inspect_llvm(kinds)


@pytest.fixture(scope="module", params=[name for name in PARTS if name != "packed"])
def compiled(request):
    """Return (name, assembly, LLVM's language) of one kernel's share of the rows, with gradient."""
    return request.param, *machine_code(request.param)


def test_loops_are_vector_code(compiled, request):
    name, assembly, _ = compiled
    if name == "sparse_logits, columns" and not get_host_cpu_features().get("avx512f"):
        reason = "a loop over four columns is scalar code with AVX2: 77 packed, 104 scalar"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=False))
    packed = len(re.findall(PACKED[MACHINE], assembly))
    scalar = len(re.findall(SCALAR[MACHINE], assembly))
    once = ONCE if "_probabilities" in name and "binary" not in name else 0
    loss = name.partition(",")[0]
    passes = {"dense_probabilities": 2, "dense_logits": 1}.get(loss, int(loss.startswith("binary")))
    assert packed > 10
    assert packed >= scalar - once - passes * LEFT - OF_A_ROW


WIDE = """
import re
from test_machine_code import PACKED, machine_code
assembly, _ = machine_code("kl_divergence")
wide = PACKED["x86_64"].replace("[yz]", "z")
print(len(re.findall(wide, assembly)), len(re.findall(PACKED["x86_64"], assembly)))
"""


@pytest.mark.skipif(MACHINE != "x86_64", reason="elsewhere no registers have 512 bits")
def test_registers_are_used_whole():
    """Compiled for a processor whose registers have 512 bits, which need not be this one."""
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    printed = run(WIDE, NUMBA_CPU_NAME="skylake-avx512", NUMBA_CPU_FEATURES="", PYTHONPATH=here)
    wide, packed = map(int, printed.split())
    assert 2 * wide > packed > 10


def test_no_exponential_or_logarithm_is_called(compiled):
    _, _, language = compiled
    called = set(re.findall(r"call [^@\n]*@\"?([\w.]+)", language))
    assert called
    assert not [name for name in called if re.fullmatch(r"(llvm\.|numba_)?(exp|log)\w*.*", name)]


@pytest.mark.parametrize("name", PARTS)
def test_no_reference_is_counted(name):
    """To count one waits for all that was written past the caches."""
    _, language = machine_code(name)
    assert "@NRT_Free" in language  # the scratch
    assert "@NRT_incref" not in language
    assert "@NRT_decref" not in language


@pytest.mark.parametrize("bits", ["int16", "uint16"])
def test_half_precision_is_rounded_in_registers(bits):
    """One loop was left scalar, and rounding to bfloat16 took as long as all the rest."""
    _, language = machine_code("packed", bits)
    rounding = r"trunc (?:nuw |nsw )*<(?:8|16|32) x (?:i32|float)> [^\n]* to <\d+ x (?:i16|half)>"
    loops = [block for block in re.split(r"\n(?=\S+:)", language) if re.search(rounding, block)]
    long = [loop for loop in loops if len(re.findall(rounding, loop)) > 1]  # not what they leave
    assert len(long) >= 3  # rows to be streamed, contiguous rows, and rows apart
