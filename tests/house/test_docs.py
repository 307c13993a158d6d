"""Every command of the documentation is run, and its output is the one that the page shows.

The rule for pages: a block marked `console` holds commands after `$ ` (continued after `> `), each
followed by its output. All of a page run in order, in one isolated host. In the output, `…` stands
for anything in a line, and a line that is only `…` for any number of lines; a command without
shown output may print what it likes. A command ends with 0 unless it ends in `# ends with N`.
A block of another kind whose first line is `# PATH` (after a `#!` line, the second) is a file that
the reader writes: so does the test, before what follows.
Programs that this machine need not have (ssh, certbot, mysqldump, …) are stood in for by the
scripts in tests/house/outside/.
"""

import ast
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from ltspec.commands import reference, table
from ltspec.errors import LtspecError

ROOT = Path(__file__).parents[2]
OUTSIDE = Path(__file__).parent / "outside"
PAGES = sorted((ROOT / "docs").rglob("*.md"))

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"^(?:#!.*\n)?# ([\w./~-]+)\n")
ENDS_WITH = re.compile(r"\s+# ends with (\d+)$")


class Block(NamedTuple):
    """One fenced block: its language, its text without the indentation, its line in the page."""

    language: str
    text: str
    line: int


class Command(NamedTuple):
    """One command of a console block, the exit code and the output that the page tells."""

    text: str
    code: int
    output: list[str]
    line: int


def blocks(page):
    for match in FENCE.finditer(page):
        indent = len(match[1])
        text = "".join(line[indent:] for line in match[3].splitlines(keepends=True))
        yield Block(match[2], text, page[: match.start()].count("\n") + 1)


def commands(block):
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            code = ENDS_WITH.search(line)
            found.append(Command(line[2:], int(code[1]) if code else 0, [], number))
        elif line.startswith("> ") and found and not found[-1].output:
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line[2:]}")
        elif found:
            found[-1].output.append(line)
    return found


def agrees(shown, printed):
    """True where the printed lines are those that the page shows, `…` standing for anything."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "…" else _line_pattern(line) for line in shown
    )
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in printed)) is not None


def _line_pattern(line):
    return r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + "\n"


def write_file(directory, block):
    name = FILE_NAME.match(block.text)
    if not name:
        return
    path = directory / name[1].removeprefix("~/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    if block.text.startswith("#!"):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run_command(command, directory, environment):
    """What is not as the page says, or "" where all is."""
    done = subprocess.run(
        ["/bin/sh", "-c", command.text],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    shown = "\n".join(command.output).strip("\n")
    if done.returncode != command.code:
        told = f"exit code {done.returncode}, the page says {command.code}"
    elif shown and not agrees(shown.split("\n"), done.stdout.strip("\n").split("\n")):
        told = "prints something else than the page shows"
    else:
        return ""
    return f"line {command.line}: $ {command.text}\n{told}; it printed\n{done.stdout}"


def run_page(text, directory, environment):
    """Run a page's commands in `directory`; the list of what is not as the page says."""
    wrong = []
    for block in blocks(text):
        if block.language == "console":
            wrong += [run_command(one, directory, environment) for one in commands(block)]
        else:
            write_file(directory, block)
    return [one for one in wrong if one]


@pytest.fixture
def reader(host, tmp_path):
    """A host with the stand-ins for outside programs, also in the PATH of its tasks."""
    path = f"{OUTSIDE}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    host.config(f"mgrctl: off\ndefaults:\n  env: {{ PATH: '{path}' }}\n")
    host.env["PATH"] = f"{OUTSIDE}:{host.env['PATH']}"
    return host


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_commands_do_what_it_shows(page, reader):
    wrong = run_page(page.read_text(), reader.root, reader.env)
    assert not wrong, f"{page.relative_to(ROOT)}\n" + "\n".join(wrong)


@pytest.mark.slow
def test_readme_commands_do_what_it_shows(copy_checkout, host):
    checkout = copy_checkout(host.root / "checkout")
    outside = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment = {**host.env, **outside}
    for name in ("LTSPEC_STATE_DIR", "LTSPEC_RUN_DIR", "PYTHONWARNINGS"):
        del environment[name]
    wrong = run_page((ROOT / "README.md").read_text(), checkout, environment)
    assert not wrong, "README.md\n" + "\n".join(wrong)


MENTION = re.compile(r"`(ltspec [a-z][^`]*)`")


def mentions(page):
    """The command lines in a page's sentences and tables: those in no block that is run."""
    text = FENCE.sub("", page)
    return [" ".join(found.replace("\\|", "|").split("|")[0].split())
            for found in MENTION.findall(text)]


def parse(line):
    """Parse it as the command would, without running it; a name alone only has to be known."""
    name, *words = shlex.split(line)[1:]
    module = table.load(name)
    if "--" in words and getattr(module, "TAKES_COMMAND", False):
        words = words[: words.index("--")]
    parser = table.parser_of(name)
    if words and words != list(reference.parts(parser).keys() & words):
        parser.parse_args(["apply" if word == "COMMAND" else word for word in words])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_page_mentions_only_commands_and_options_that_there_are(page):
    wrong = []
    for line in mentions(page.read_text()):
        try:
            parse(line)
        except LtspecError as error:
            wrong.append(f"{line}: {error}")
    assert wrong == []


def test_rule_mention_of_an_option_that_is_gone_is_found():
    for line in ("ltspec list --filed", "ltspec lst", "ltspec queue drian"):
        with pytest.raises(LtspecError):
            parse(line)
    parse("ltspec queue drain")
    parse("ltspec run -q q -- CMD --any")


LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name
)
def test_page_links_lead_to_files(page):
    targets = LINK.findall(page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_rule_wrong_output_and_wrong_code_are_found(tmp_path):
    page = "```console\n$ echo one; echo two\none\n$ false\n$ false  # ends with 1\n```\n"
    wrong = run_page(page, tmp_path, dict(os.environ))
    assert [line.splitlines()[0] for line in wrong] == [
        "line 2: $ echo one; echo two",
        "line 4: $ false",
    ]


def test_rule_ellipsis_stands_for_a_part_of_a_line_or_for_lines(tmp_path):
    page = "```console\n$ printf '%s\\n' a1z x y end\na…z\n…\nend\n```\n"
    assert run_page(page, tmp_path, dict(os.environ)) == []


def test_rule_named_block_is_written_before_the_next_command(tmp_path):
    page = "```sh\n#!/bin/sh\n# bin/it\necho $1\n```\n\n```console\n$ bin/it \\\n> ok\nok\n```\n"
    assert run_page(page, tmp_path, dict(os.environ)) == []


def literal_text(path):
    """The text of a module's string literals, the changing parts of f-strings as `…`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [one.value if isinstance(one, ast.Constant) else "…" for one in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return "\n".join(found)


def test_troubleshooting_headings_are_messages_of_the_program():
    said = "\n".join(literal_text(path) for path in sorted((ROOT / "ltspec").rglob("*.py")))
    page = (ROOT / "docs/troubleshooting.md").read_text()
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    unsaid = []
    for heading in headings:
        parts = heading.removeprefix("ERR ").split("…")
        pattern = ".*".join(re.escape(part.strip()) for part in parts)
        if not re.search(pattern, said):
            unsaid.append(heading)
    assert unsaid == []
