"""Two trees of this repository, and programs that run in them."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2


class Tree(NamedTuple):
    """A checkout, and where its machine code is kept."""

    name: str
    path: Path
    cache: Path

    def environment(self, cache: Path | None = None, threads: int = THREADS) -> dict[str, str]:
        """Return the environment in which a program imports this tree and no other."""
        own = (self.path, self.path / "kernels", Path(__file__).resolve().parents[1])
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "PYTHON"))}
        return kept | {
            "PYTHONPATH": os.pathsep.join(map(str, own)),
            "PYTHONPYCACHEPREFIX": str(self.cache.with_name("pycache")),
            "NUMBA_CACHE_DIR": str(cache or self.cache),
            "NUMBA_NUM_THREADS": str(threads),
        }

    def start(
        self, *arguments: str, cache: Path | None = None, threads: int = THREADS, **options: Any
    ) -> subprocess.Popen[str]:
        """Start the worker with these arguments; its output is a pipe."""
        task, *rest = arguments
        command = [sys.executable, "-P", "-m", "against.worker", task, str(self.path), *rest]
        return subprocess.Popen(
            command,
            env=self.environment(cache, threads),
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )


def both(old: str, directory: Path) -> tuple[Tree, Tree]:
    """Return (old, new): a commit or a directory, and the working checkout.

    A commit is exported to `directory`, once; the machine code of both is kept there.
    """
    if Path(old).is_dir():
        path, name = Path(old).resolve(), Path(old).resolve().name
    else:
        name = _git("rev-parse", "--verify", f"{old}^{{commit}}").decode().strip()
        path = directory / name / "tree"
        if not path.exists():
            _export(name, path)
    return (
        Tree("old", path, directory / name / "numba"),
        Tree("new", ROOT, directory / "working" / "numba"),
    )


def _export(commit: str, path: Path) -> None:
    """Write the files of a commit; they appear all at once."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as files:
        files.extractall(unfinished, filter="data")
    unfinished.rename(path)


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def finish(process: subprocess.Popen[str], when: str = "") -> None:
    """Wait for a worker, and stop if it failed; `when` says how far it had come."""
    if process.wait():
        raise SystemExit(f"a worker ended with {process.returncode}{when}: {process.args!r}")
