"""What `import fastloss` loads, and what the first cached call loads: no more than is used."""

import os
import subprocess
import sys

import fastloss_kernels
import pytest

LAZY = {
    "fastloss.selfcheck.check",
    "fastloss.selfcheck.documented_examples",
    "fastloss.selfcheck.reference",
    "fastloss_kernels.memory.rows",
    "fastloss_kernels.simd.scalar",
    *(f"fastloss_kernels.{home}" for home in fastloss_kernels._HOMES.values()),
}
# What Numba needs to compile array functions; the second imports SciPy where there is one.
COMPILING = {"numba.np.arrayobj", "numba.np.arraymath"}


def run(code, **environment):
    """Run `code` in a new process; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def loaded(code, **environment):
    """Return which of the modules above a new process has loaded after `code`."""
    names = f"sorted({LAZY | COMPILING!r} & set(sys.modules))"
    return set(run(f"import sys\n{code}\nprint(*{names})", **environment).split())


def test_import_loads_neither_kernels_nor_checks():
    import fastloss

    assert callable(fastloss.check)
    assert loaded("import fastloss, fastloss_kernels") == set()


def test_import_compiles_nothing():
    code = """
import fastloss_kernels
from numba.core.dispatcher import Dispatcher
kernels = [getattr(fastloss_kernels, name) for name in fastloss_kernels.__all__]
dispatchers = [kernel for kernel in kernels if isinstance(kernel, Dispatcher)]
print(len(dispatchers), sum(len(kernel.signatures) for kernel in dispatchers))
"""
    assert run(code, NUMBA_DISABLE_JIT="0") == f"{len(__import__('fastloss_kernels')._HOMES)} 0"


def test_a_kernel_brings_its_own_module_only():
    assert "fastloss_kernels.losses.poisson" in loaded("import fastloss\nfastloss.Poisson()")
    assert "fastloss_kernels.losses.softmax_sparse" not in loaded(
        "import fastloss\nfastloss.Poisson()"
    )


def test_module_and_kernel_of_one_name_do_not_meet():
    names = "sorted(set(fastloss_kernels._HOMES) & set(fastloss_kernels._HOMES.values()))"
    assert run(f"import fastloss_kernels; print({names})") == "[]"


def test_unknown_names_are_attribute_errors():
    import fastloss_kernels

    import fastloss

    for package in (fastloss, fastloss_kernels):
        with pytest.raises(AttributeError, match="has no attribute 'hinge'"):
            _ = package.hinge
        assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("rows", [3, 20000], ids=["serial", "parallel"])
def test_a_cached_call_loads_nothing_that_only_compiling_needs(rows):
    code = f"""
import numpy as np, fastloss as fl
x = np.full(({rows}, 2), 0.5, np.float32)
for reduction in ("sum", None):
    loss = fl.Poisson(reduction=reduction)
    value, grad = loss.value_and_grad(x, x)
"""
    environment = {"NUMBA_DISABLE_JIT": "0", "NUMBA_NUM_THREADS": "2"}
    shown = code + "\nprint(grad[0], float(loss(x, x)[0]).hex())"
    first = run(shown, **environment)  # compiles what no test before has
    assert run(shown, **environment) == first
    assert not COMPILING & loaded(code, **environment)


def test_a_cached_kernel_can_be_compiled_into_other_code():
    """After the quick way of loading, Numba has everything to learn that compiling needs."""
    code = """
import numpy as np, fastloss_kernels as fk
from numba import njit
x, loss = np.full((2, 3, 1), 0.5), np.empty(2)
one, every = np.ones(1), np.ones(1, bool)
fk.run(fk.poisson, x, x, 1e-7, one, every, loss, None)
@njit
def own(x):
    loss = np.empty(2)
    fk.poisson(x, x, 1e-7, np.ones(1), np.ones(1, np.bool_), loss, None, 1)
    return fk.total(loss)
print(own(x) == loss.sum())
"""
    assert [run(code, NUMBA_DISABLE_JIT="0") for _ in range(2)] == ["True", "True"]
