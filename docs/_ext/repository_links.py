"""Links to files of the repository that are not pages, as a forge follows them.

A page may link to ../SECURITY.md, and a file that a page includes, such as CONTRIBUTING.md, to
docs/squared_error.py. Where the file is the text of a page (`repository_pages` in conf.py) the link
goes to that page, where it is another file it becomes a download. Sphinx reports what is neither.
"""

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class RepositoryLinks(SphinxTransform):
    """Resolve relative links against the file that they are written in."""

    default_priority = 5  # before Sphinx collects downloads and pages that are linked to

    def apply(self, **kwargs: Any) -> None:
        """Replace the links of one page."""
        for link in list(self.document.findall(_is_link)):
            file, anchor = self._target(link)
            if file.is_file():
                replacement = self._link(file, anchor)
                replacement.source, replacement.line = link.source, link.line
                replacement += link.children
                link.replace_self(replacement)

    def _target(self, link: nodes.Element) -> tuple[Path, str | None]:
        if link["refdomain"] == "doc":  # MyST takes Markdown files outside docs/ for pages too
            return Path(self.env.srcdir, link["reftarget"] + ".md").resolve(), link["reftargetid"]
        path, _, anchor = link["reftarget"].partition("#")
        return Path(link.source).parent.joinpath(path).resolve(), anchor or None

    def _link(self, file: Path, anchor: str | None) -> nodes.Element:
        name = file.relative_to(Path(self.env.srcdir).parent).as_posix()
        page = self.config.repository_pages.get(name, self.env.path2doc(file))
        common = {"refdoc": self.env.docname, "reftype": "myst", "refexplicit": True}
        if page in self.env.found_docs:
            return addnodes.pending_xref(
                "", refdomain="doc", reftarget=page, reftargetid=anchor, **common
            )
        target = "/" + Path(os.path.relpath(file, self.env.srcdir)).as_posix()
        return addnodes.download_reference("", refdomain=None, reftarget=target, **common)


def _is_link(node: nodes.Node) -> bool:
    """Tell whether a node is a relative link of Markdown."""
    links = (addnodes.pending_xref, addnodes.download_reference)
    return isinstance(node, links) and node.get("reftype") == "myst"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and its configuration."""
    app.add_config_value("repository_pages", {}, "env", dict)
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
