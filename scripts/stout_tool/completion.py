# SPDX-License-Identifier: MIT
"""stout completion: what the shells ask for after a Tab, made by click from the description of the command line.

click completes commands, options and choices.  Here come the words that depend on this host: files, packages, instances.
"""
from __future__ import annotations

import os
from typing import Any, Callable

import click
from click import shell_completion
from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_STOUT_COMPLETE"
# Not click's own: that asks for a newer bash and lacks the shell's own completion of files.
BASH = """_stout_complete() {
    local IFS=$'\\n' line type value
    COMPREPLY=()
    for line in $(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %s=bash_complete "$1"); do
        IFS=, read -r type value <<<"$line"
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F _stout_complete stout
""" % VARIABLE


def completion(shell: str) -> int:
    """Prints the script that the shell is to read."""
    if shell == "bash":
        print(BASH, end="")
        return 0
    from .cli import main
    cls = shell_completion.get_completion_class(shell)
    assert cls is not None
    print(cls(main, {}, "stout", VARIABLE).source())
    return 0


def of_packages() -> list[str]:
    from .packages.store import Store
    return list(Store().names())


def of_instances() -> list[str]:
    from .instances.instance import all_instances
    return [instance.name for instance in all_instances()]


def of_networks() -> list[str]:
    from .instances.state import state_dir
    return sorted(name for name in os.listdir(state_dir("networks")) if not name.startswith("."))


NAMES: dict[str, Callable[[], list[str]]] = {"instance": of_instances, "network": of_networks, "pkg": of_packages}
FOLDERS = ("DIR", "HOST:GUEST[:ro]")


def items(parameter: click.Parameter, group: str, incomplete: str) -> list[CompletionItem]:
    """For a parameter about which click knows nothing: by what its help calls it."""
    if parameter.name in ("package", "networks"):
        names = of_packages() if parameter.name == "package" else of_networks()
    elif parameter.name in ("name", "names") and isinstance(parameter, click.Argument) and group in NAMES:
        names = NAMES[group]()
    else:
        what = parameter.metavar or parameter.name or ""
        kind = "dir" if what in FOLDERS or parameter.name == "folder" else "file"
        takes_path = isinstance(parameter, click.Argument) or any(word in what for word in ("FILE", "PATH", "DIR", "HOST:GUEST[:ro]"))
        return [CompletionItem(incomplete, type=kind)] if takes_path else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def extend(cls: type[shell_completion.ShellComplete]) -> type[shell_completion.ShellComplete]:
    class Extended(cls):  # type: ignore[misc, valid-type]
        def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
            context = shell_completion._resolve_context(self.cli, self.ctx_args, self.prog_name, args)
            found, incomplete = shell_completion._resolve_incomplete(context, args, incomplete)
            known = found.shell_complete(context, incomplete)
            if known or not isinstance(found, click.Parameter) or not isinstance(found.type, (click.types.StringParamType,
                                                                                             click.types.UnprocessedParamType)):
                return list(known)
            return items(found, (context.parent and context.parent.info_name) or "", incomplete)

    return Extended


def register() -> None:
    """Before click answers a shell."""
    for name in SHELLS:
        cls: Any = shell_completion.get_completion_class(name)
        shell_completion.add_completion_class(extend(cls), name)
