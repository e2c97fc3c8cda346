"""Bundles of prebuilt machine code: used where they fit, passed over without a word where not."""

import shutil
import zipfile

import numba
import pytest
from fastloss_kernels.compiler.disk_cache import LEVEL_FEATURES, targets
from numba.core.registry import cpu_target
from tiny_kernel import COMPILED, HELPER, LOADED, PROGRAM, cached, install, run

CHANGED = "import numba; numba.__version__ = {version}\n"
LEVELS = [level for _, level, _ in targets(cpu_target.target_context.codegen())][1:]
pytestmark = pytest.mark.skipif(not LEVELS, reason="this processor has no level with bundles")
CODE = {"NUMBA_CPU_FEATURES": LEVEL_FEATURES}


def write_bundle(path, files):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return an installation with a bundle in the package, and no other cache."""
    site = install(tmp_path_factory.mktemp("built"))
    level = LEVELS[-1]  # as an older processor would have it
    assert run(site, NUMBA_CPU_NAME=level, **CODE) == COMPILED
    write_bundle(site / f"prebuilt/{level}.zip", cached(site))
    shutil.rmtree(site / "__pycache__")
    return site


@pytest.fixture
def site(built, tmp_path):
    return shutil.copytree(built, tmp_path / "site" / built.name)


def bundle(site):
    (path,) = (site / "prebuilt").iterdir()
    return path


def test_a_bundle_in_the_package_is_used_and_copied_nowhere(site):
    assert run(site) == LOADED
    assert not cached(site)


def test_a_bundle_in_the_named_directory_is_used(site, tmp_path):
    place = tmp_path / "shared"
    place.mkdir()
    path = bundle(site)
    path.rename(place / "any name.zip")
    assert run(site, FASTLOSS_PREBUILT=str(place)) == LOADED
    assert run(site) == COMPILED


def test_an_empty_name_means_no_bundle(site):
    assert run(site, FASTLOSS_PREBUILT="") == COMPILED


def test_a_users_own_code_comes_first(site):
    assert run(site, FASTLOSS_PREBUILT="") == COMPILED
    bundle(site).unlink()
    assert run(site) == LOADED


@pytest.mark.parametrize("name", ["nehalem", "x86-64", "generic"])
def test_another_processor_passes_it_over(site, name):
    assert run(site, NUMBA_CPU_NAME=name) == COMPILED
    assert run(site, NUMBA_CPU_FEATURES="+sse4.2") == COMPILED


def test_another_version_passes_it_over(site):
    other = CHANGED.format(version=repr(numba.__version__ + "1"))
    assert run(site, other + PROGRAM) == COMPILED
    (site / "tiny_helper.py").write_text(HELPER.replace("40.0", "80.0"))
    assert run(site) == "82.0 0 1\n"


def half(content):
    return content[: len(content) // 2]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [half, flipped, lambda content: b"", lambda content: content[1:]],
    ids=["half", "flipped", "empty", "shifted"],
)
def test_a_damaged_bundle_means_compile(site, damage):
    path = bundle(site)
    path.write_bytes(damage(path.read_bytes()))
    assert run(site) == COMPILED
    assert run(site) == LOADED  # from the user's own cache


def test_a_damaged_bundle_does_not_hide_an_intact_one(site, tmp_path):
    path = bundle(site)
    shutil.copytree(path.parent, tmp_path / "shared")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert run(site, FASTLOSS_PREBUILT=str(tmp_path / "shared")) == LOADED


def test_a_swapped_member_means_compile(site):
    path = bundle(site)
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        content = archive.read(name)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content[:32] + b"0" * len(content))
    assert run(site) == COMPILED
