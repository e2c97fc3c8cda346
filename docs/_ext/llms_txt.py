"""Write llms.txt: a plain list of all pages in the order of the site, with a line about each."""

from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

LONGEST = 160


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the file beside index.html."""
    if error is not None or app.builder.format != "html":
        return
    root = app.config.root_doc
    lines = [f"# {app.config.project}", "", f"> {_first_words(app.env, root)}"]
    for section in app.env.toctree_includes[root]:
        lines += ["", f"## {_title(app.env, section)}", ""]
        lines += [_line(app, page) for page in _below(app.env, section)]
    Path(app.outdir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _below(env: BuildEnvironment, page: str) -> Iterator[str]:
    yield page
    for child in env.toctree_includes.get(page, []):
        yield from _below(env, child)


def _line(app: Sphinx, page: str) -> str:
    link = f"[{_title(app.env, page)}]({app.builder.get_target_uri(page)})"
    words = _first_words(app.env, page)
    return f"- {link}: {words}" if words else f"- {link}"


def _title(env: BuildEnvironment, page: str) -> str:
    return env.titles[page].astext()


def _first_words(env: BuildEnvironment, page: str) -> str:
    """Return the first sentences of a page that fit into a line."""
    for paragraph in env.get_doctree(page).findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            text = " ".join(paragraph.astext().split())
            if len(text) <= LONGEST:
                return text
            sentences, stop, _ = text[:LONGEST].rpartition(". ")
            return f"{sentences}." if stop else text[:LONGEST].rpartition(" ")[0] + " ..."
    return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the file when everything else is."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
