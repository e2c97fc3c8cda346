"""Leave out the empty line at the end of a session: doctest needs it, readers do not."""

from docutils import nodes
from sphinx.application import Sphinx


def tidy(app: Sphinx, document: nodes.document) -> None:
    """Cut the ends of all blocks of code."""
    for block in document.findall(nodes.literal_block):
        text = block.astext().rstrip("\n")
        block.rawsource = text  # Sphinx highlights only what it finds unchanged
        block.children = []
        block += nodes.Text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tidy each page when it has been read."""
    app.connect("doctree-read", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
