# SPDX-License-Identifier: MIT
"""Pages and help against the command line itself: every example is one that the tool takes, and every table of options says what it has."""
import glob
import os
import re
import shlex
import sys

import click
import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))
from stout_tool.cli import main  # noqa: E402
from stout_tool.manual import commands  # noqa: E402

PAGES = sorted(os.path.relpath(path, TOP) for path in [f"{TOP}/README.md", f"{TOP}/CONTRIBUTING.md", *glob.glob(f"{TOP}/docs/*.md")])
SEPARATORS = set("();<>|&\n")


def read(page):
    with open(os.path.join(TOP, page), encoding="utf-8") as file:
        return file.read()


def words_of(line):
    """As a shell would split it; a remark has no quotes that count."""
    lexer = shlex.shlex(re.split(r"(?:^|\s)#(?:\s|$)", line)[0], posix=True, punctuation_chars=True)
    lexer.commenters, lexer.whitespace_split = "", True
    return list(lexer)


def examples_of(lines):
    """The stout commands of shell lines, without that word."""
    for line in lines:
        words = []
        for word in [*words_of(line), ";"]:
            if not set(word) <= SEPARATORS:
                words.append(word)
                continue
            while words and re.fullmatch(r"\w+=.*", words[0]):
                del words[0]
            if len(words) > 1 and os.path.basename(words[0]) == "stout":
                yield words[1:]
            words = []


def lines_of(page):
    """What is indented, or between backticks and no form (`stout build -t KIND`)."""
    text = read(page)
    return [*re.findall(r"^ {4}(.*\bstout .*)$", text, re.M),
            *(line for line in re.findall(r"`((?:\./|/usr/bin/)?stout [^`]+)`", text) if not re.search(r"\b[A-Z]{4,}\b", line))]


def taken(words):
    """Parses as the tool does, and does nothing; click.UsageError if it does not take them."""
    command, context, name = main, None, "stout"
    try:
        while isinstance(command, click.Group):
            context = command.make_context(name, list(words), parent=context)
            name, command, words = command.resolve_command(context, [*context.protected_args, *context.args])
        command.make_context(name, list(words), parent=context)
    except click.exceptions.Exit:
        pass  # --help and --version


def refusals(lines):
    found = []
    for words in examples_of(lines):
        try:
            taken(words)
        except click.MissingParameter as error:
            if len(words) > 2:  # else the command is only mentioned
                found.append(f"stout {shlex.join(words)}: {error.format_message()}")
        except click.ClickException as error:
            found.append(f"stout {shlex.join(words)}: {error.format_message()}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(page):
    assert refusals(lines_of(page)) == []


def test_examples_of_help():
    examples = [line for _, command in commands(main) for line in re.findall(r"^ *((?:source <\()?stout .*?)(?:   .*)?$", command.help or "", re.M)]
    assert len(list(examples_of(examples))) > 60 and refusals(examples) == []


def test_what_is_no_example():
    assert refusals(["stout run --porst 1 /bin/true", "FOO=1 ./stout rnu x; stout image ls -h; stout image cp a b"]) == [
        "stout run --porst 1 /bin/true: No such option: --porst (Possible options: --boot, --cpus, --root)", "stout rnu x: There is no command stout rnu; did you mean run?",
        "stout image cp a b: Missing argument 'TARGET'."]


def test_options_of_export():
    """docs/export.md's table: a dash where the engine has no such option."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in read("docs/export.md").splitlines() if line.startswith("|")]
    engines, table = rows[0][1:], rows[2:rows.index(next(row for row in rows if row[0] == "engine"))]
    export = main.get_command(click.Context(main), "export")
    assert sorted(engines) == sorted(export.commands)
    said = {option: dict(zip(engines, row[1:])) for row in table for option in re.findall(r"`(-\S+?)[ `]", row[0] + " ")}
    everywhere = set.intersection(*({word for item in command.params for word in item.opts} for command in export.commands.values()))
    for engine, command in export.commands.items():
        options = {word for item in command.params for word in item.opts}
        assert {option for option, row in said.items() if row[engine] != "-"} == options & set(said), engine
        assert {word for word in options - everywhere if word.startswith("--")} <= set(said), engine


def test_help_of_instance_create():
    """It lists what run lists, but for what an instance is refused."""
    shown = {words: {item.opts[0] for item in command.params if isinstance(item, click.Option) and not item.hidden}
             for words, command in commands(main) if words in ("stout run", "stout instance create")}
    assert shown["stout run"] - shown["stout instance create"] == {"--boot", "--gdb", "--dry-run", "--count-calls"}
    assert refusals(["stout instance create --gdb /bin/true"]) == []  # which has a sentence of its own
