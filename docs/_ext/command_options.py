"""The directive `command-options`: arguments and options of a command, read from the program.

Its argument is the name of a command, as `evaluate`. It writes a table for each panel of --help.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from fastloss.cli.commands import app as fastloss

Parameter = Any  # of click, or since Typer 0.26 of the click within Typer


class CommandOptions(SphinxDirective):
    """Write what a command takes, in the order of its help."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a synopsis, the first line of the help, and the tables."""
        group: Any = get_command(fastloss)
        name = self.arguments[0]
        command = group.commands[name]
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join(command.collect_usage_pieces(context))
        synopsis = f"fastloss {name} {usage}"
        found: list[nodes.Node] = [nodes.literal_block(synopsis, synopsis, language="text")]
        found.append(nodes.paragraph("", command.help))
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in sorted(command.get_params(context), key=_is_option):
            panels.setdefault(_panel(parameter), []).append(parameter.get_help_record(context))
        for panel, records in panels.items():
            found += [nodes.rubric("", panel), _table(name, records)]
        return found


def _is_option(parameter: Parameter) -> bool:
    return bool(parameter.param_type_name == "option")


def _panel(parameter: Parameter) -> str:
    return parameter.rich_help_panel or ("Options" if _is_option(parameter) else "Arguments")


def _table(command: str, records: list[tuple[str, str]]) -> nodes.table:
    """Return a table of names and what they mean; each row is the target of links."""
    body = nodes.tbody()
    for names, meaning in records:
        written = nodes.paragraph("", "", nodes.literal("", names))
        cells = [nodes.entry("", written), nodes.entry("", nodes.paragraph("", meaning))]
        body += nodes.row("", *cells, ids=[nodes.make_id(f"{command} {names.split()[0]}")])
    columns = [nodes.colspec(colwidth=width) for width in (35, 65)]
    return nodes.table("", nodes.tgroup("", *columns, body, cols=2), classes=["options"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
