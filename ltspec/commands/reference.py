"""The part of docs/commands.md that is made from the commands' own help.

`python -m ltspec.commands.reference docs/commands.md` writes it anew between its two markers; a
test fails where the page and the commands differ.
"""

import argparse
import sys

from ltspec.commands import table

BEGIN = "<!-- made by `python -m ltspec.commands.reference docs/commands.md`: begin -->\n"
END = "<!-- end -->\n"


def generated() -> str:
    """The section of every command, in the order of the table."""
    lines: list[str] = []
    for name, summary in table.COMMANDS.items():
        parser = table.parser_of(name)
        usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
        lines += [f"## {name}", "", table.COMMANDS[name][0].upper() + summary[1:] + ".", ""]
        lines += ["```", usage, "```", ""]
        if parser.description and parser.description != summary[0].upper() + summary[1:] + ".":
            lines += [*parser.description.split("\n"), ""]
        lines += _arguments(parser)
        for part_name, part in parts(parser).items():
            part_usage = " ".join(part.format_usage().removeprefix("usage: ").split())
            lines += [f"### {name} {part_name}", "", part.description or "", "",
                      "```", part_usage, "```", "", *_arguments(part)]
        lines += ["```sh", *(f"{line:<55} # {what}" for line, what in parser.examples), "```", ""]
    return "\n".join(lines)


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    formatter = parser._get_formatter()  # argparse gives help's words no other way
    rows = [
        f"| `{formatter._format_action_invocation(action).replace('|', chr(92) + '|')}` |"
        f" {formatter._expand_help(action).replace('|', chr(92) + '|')} |"
        for action in parser._actions
        if action.help and action.dest not in ("help", "config")
        and not isinstance(action.choices, dict)
    ]
    return ["| | |", "| --- | --- |", *rows, ""] if rows else []


def parts(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's own commands (`queue pause`)."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return dict(action.choices)
    return {}


def renewed(page: str) -> str:
    """The page with its generated part made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{generated()}\n{END}{after}"


def main(path: str) -> None:
    """Write the page anew."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(renewed(page))


if __name__ == "__main__":
    main(sys.argv[1])
