"""What `fastloss` shows, which of its modules import which, and how its functions are named."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import fastloss

PACKAGE = Path(fastloss.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Folders that users' calls do not enter; what each may import from fastloss. "" is the rest.
MAY_IMPORT = {
    "": {""},
    "boosting": {"", "boosting"},
    "formats": {"", "formats"},
    "out_of_core": {"", "formats", "out_of_core"},
    "selfcheck": {"", "selfcheck"},
    "dask": {"", "dask", "formats", "out_of_core"},
    "cli": {"", "cli", "dask", "formats", "out_of_core", "selfcheck"},
}
# Each may import those below it.
PATH_OF_A_CALL = """
    activations activate
    accumulation.accumulator
    identifiers losses loss_base
    linear_layer.loss
    loss_config curvature transforms functional
    linear_layer.function linear_layer.blocks linear_layer.gradients
    hessians
    accumulation.partial_loss accumulation.exact_sum
    evaluate loss_specs reduction
    arguments.class_weights arguments.alignment arguments.labels arguments.gradient_cache
    arguments.arrays arguments.array_likes arguments.layout
    docstrings keywords typing
"""
# The package itself hands out `check`, and `python -m fastloss` is the command.
ENTRIES = {("__init__", "selfcheck"), ("__main__", "cli")}


def imported(path):
    """Return the modules of fastloss that a file imports, in functions too, without "fastloss."."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("fastloss.") for name in names if name.startswith("fastloss.")}


def folder(module):
    first = module.partition(".")[0]
    return first if first in MAY_IMPORT else ""


def relative(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_folder_imports_one_that_imports_it(path):
    own = folder(relative(path).replace("/", "."))
    for module in imported(path):
        target = folder(module)
        assert target in MAY_IMPORT[own] or (path.stem, target) in ENTRIES, module


def test_the_modules_of_a_call_import_one_way():
    files = {relative(path).removesuffix(".py").replace("/", ".") for path in FILES}
    of_calls = {name for name in files if not folder(name) and "__" not in name}
    order = PATH_OF_A_CALL.split()
    assert of_calls == set(order)
    for number, name in enumerate(order):
        below = order[number + 1 :]
        for module in imported(PACKAGE / f"{name.replace('.', '/')}.py"):
            assert any(module == m or module.startswith(f"{m}.") for m in below), (name, module)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_a_function_name_means_one_thing():
    """Of module-level functions; the reference has the names of the losses that it checks."""
    places = defaultdict(set)  # overloads of a function are in one file
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                places[node.name].add(relative(path))
    shared = {name: sorted(files) for name, files in places.items() if len(files) > 1}
    both = ["functional.py", "selfcheck/reference.py"]
    losses = ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
    of_dask = {
        "evaluate": ["dask/summary.py", "evaluate.py"],
        "value_and_grad": ["dask/losses.py", "transforms.py"],
    }
    assert shared == dict.fromkeys((*losses, "poisson", "kl_divergence"), both) | of_dask


def test_dir_is_the_public_api():
    assert dir(fastloss) == sorted(fastloss.__all__)
    assert dir(fastloss) == [
        "Accumulator",
        "BCE",
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "KLD",
        "KLDivergence",
        "LinearCrossentropy",
        "LinearGradients",
        "Loss",
        "Poisson",
        "SparseCategoricalCrossentropy",
        "__version__",
        "bce",
        "binary_crossentropy",
        "categorical_crossentropy",
        "check",
        "get",
        "hessian_vector_product",
        "kl_divergence",
        "kld",
        "linear_crossentropy",
        "log_sigmoid",
        "log_softmax",
        "logsumexp",
        "poisson",
        "set_gradient_cache",
        "sigmoid",
        "softmax",
        "sparse_categorical_crossentropy",
        "value_and_grad",
        "value_grad_and_hessian",
    ]


def in_new_process(*arguments):
    places = os.pathsep.join(place for place in sys.path if place)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_import_loads_no_folder():
    code = "import sys, fastloss; print(*(n for n in sys.modules if n.startswith('fastloss.')))"
    loaded = {name.removeprefix("fastloss.") for name in in_new_process("-c", code).split()}
    modules = PATH_OF_A_CALL.split()
    assert loaded == {*modules, *(name.partition(".")[0] for name in modules if "." in name)}


def test_the_package_runs_as_the_command():
    assert in_new_process("-m", "fastloss", "--version") == fastloss.__version__
