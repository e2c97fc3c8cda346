"""The picture as a page: one file, for any width, in light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from fastloss.cli.plot.panel import Numbers, Panel
from fastloss.cli.plot.theme import DARK, LIGHT, Colours

_STYLE = """
body { margin: 0 auto; max-width: 90rem; padding: 1rem; background: var(--paper);
  color: var(--text); font: 1rem/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.35rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 .4rem; font-size: 1.05rem; }
p { margin: .2rem 0 1.4rem; color: var(--muted); overflow-wrap: anywhere; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1.8rem 2.2rem; align-items: start; }
section { max-width: 36rem; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit !important; }
details { margin-top: .5rem; }
summary { color: var(--muted); cursor: pointer; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--grid); text-align: right;
  font-weight: normal; vertical-align: top; }
th { color: var(--muted); }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
"""


def page(heading: str, subheading: str, panels: list[Panel], drawings: list[str]) -> str:
    """Return the HTML of a page with a section for each panel; drawings are their SVG files."""
    sections = "".join(map(_section, panels, drawings)) or "<p>no row has a finite loss</p>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(heading)}</title>
<style>
:root {{ {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
{_STYLE.strip()}
</style>
</head>
<body>
<h1>{escape(heading).replace("_", "_<wbr>")}</h1>
<p>{escape(subheading)}</p>
<main>
{sections}</main>
</body>
</html>
"""


def _variables(colours: Colours) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours._asdict().items())


def _section(panel: Panel, drawing: str) -> str:
    return f"""<section>
<h2>{escape(panel.title)}</h2>
{_inline(drawing, panel.title)}
<details><summary>Numbers</summary>
{_table_of(panel.numbers())}</details>
</section>
"""


def _inline(drawing: str, label: str) -> str:
    """Return the SVG element of a file, with variables for the colours.

    The identifiers of groups go: nothing refers to them, and those of two drawings are the same.
    """
    svg = drawing[drawing.index("<svg") :]
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for name, value in LIGHT._asdict().items():
        svg = svg.replace(value, f"var(--{name})")
    label = escape(f"{label}: a chart; its numbers follow")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _table_of(numbers: Numbers) -> str:
    head = _cells("th", numbers.columns)
    body = "".join(f"<tr>{_cells('td', row)}</tr>\n" for row in numbers.rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
