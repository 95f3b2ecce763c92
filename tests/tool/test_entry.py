# SPDX-License-Identifier: MIT
"""The tool's own ends: what nobody foresaw is a sentence, and what a killed build left is removed by the next."""
import json
import os
import re
import signal
import subprocess
import sys
import time

from conftest import processor_times

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENVIRONMENT = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"))


def python(script, **more):
    return subprocess.run(["/usr/bin/python3", "-c", script], env=dict(ENVIRONMENT, **more), capture_output=True, text=True,
                          check=False, timeout=60)


BROKEN = """import sys
from stout_tool import cli, doctor
def doctor_broken(as_json):
    raise ValueError("two\\nlines")
doctor.doctor = doctor_broken
sys.argv = ["stout", "doctor"]
cli.entry()
"""


def test_mistake_of_the_tool_is_a_sentence():
    result = python(BROKEN)
    assert result.returncode == 125 and result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("stout: This is a mistake in stout itself (ValueError: two lines); please report")
    assert "Traceback" in python(BROKEN, STOUT_DEBUG="1").stderr


def test_version():
    result = python("from stout_tool import cli; cli.main(['--version'])")
    assert result.returncode == 0 and result.stdout.startswith("stout 0."), result.stderr


def test_interrupt_prints_nothing():
    result = python(BROKEN.replace('raise ValueError("two\\nlines")', "raise KeyboardInterrupt"))
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_remains_of_a_killed_build_are_removed(tmp_path):
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool import output
    target = str(tmp_path / "image")
    (tmp_path / ".stout-settings").mkdir()  # not ours
    script = ("import sys, time\nfrom stout_tool.output import workshop\n"
              f"with workshop({target!r}) as folder:\n    print(folder, flush=True)\n    time.sleep(60)")
    makers = [subprocess.Popen(["/usr/bin/python3", "-c", script], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    folders = [maker.stdout.readline().strip() for maker in makers]
    makers[0].send_signal(signal.SIGKILL)
    makers[0].wait()
    assert all(map(os.path.isdir, folders))
    with output.workshop(target):
        assert not os.path.exists(folders[0]) and os.path.isdir(folders[1])
    makers[1].send_signal(signal.SIGINT)
    assert makers[1].wait(10) != 0
    deadline = time.monotonic() + 5
    while os.path.exists(folders[1]):
        assert time.monotonic() < deadline
    assert os.listdir(tmp_path) == [".stout-settings"]


WITHOUT_JSON = {"run", "pkg load", "instance attach", "image cat",  # what they print is the program's, or a file's
                "completion", "test", "profile"}


def test_every_command_that_answers_can_do_so_in_json():
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    import click
    from stout_tool.cli import main
    from stout_tool.manual import commands
    lacking = {name.removeprefix("stout ") for name, command in commands(main) if not isinstance(command, click.Group)
               and not any("--json" in parameter.opts for parameter in command.params)}
    assert lacking - {"instance inspect"} <= WITHOUT_JSON  # which prints nothing else


def test_json_of_doctor_and_build(stout, kernel, compiled, tmp_path):
    answer = json.loads(stout("doctor", "--json").stdout)
    assert {check["state"] for check in answer["checks"]} <= {"ok", "note", "missing", "MISSING"}
    result = stout("build", "--json", "--kernel", kernel, "-t", "qemu", "-o", str(tmp_path / "a.tar"), compiled("int main(void) { return 0; }"))
    (made,) = json.loads(result.stdout)
    assert made == {"path": str(tmp_path / "a.tar"), "type": "qemu", "size": os.stat(tmp_path / "a.tar").st_size}
    assert json.loads(stout("image", "delete", "--json", made["path"]).stdout) == [{"name": made["path"]}]


def test_where_a_missing_program_is_to_be_had(monkeypatch):
    """An installed tool has no scripts/setup beside it."""
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool import host
    assert host.missing("mcopy").sentence == "mcopy is not on PATH; run scripts/setup --build, or apt-get install mtools."
    monkeypatch.setattr(host, "IS_CHECKOUT", False)
    assert host.missing("mcopy").sentence == "mcopy is not on PATH; apt-get install mtools."


def test_the_tool_starts_quickly():
    """In less than ten starts of a bare interpreter: 5 to 6."""
    ours, bare = processor_times(lambda: subprocess.run(["/usr/bin/python3", "-m", "stout_tool", "--help"], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                                                        check=True), rounds=8)
    assert ours < 10 * bare, (ours, bare)


def every_command():
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.cli import main
    from stout_tool.manual import commands
    return list(commands(main))


def test_every_command_has_an_example():
    lacking = [name for name, command in every_command() if not re.search(rf"^ *(source <\()?{name}( |$)", command.help or "", re.M)]
    assert lacking == []


def test_words_of_other_tools_lead_to_commands_that_there_are():
    from stout_tool.cli import COMMANDS_OF_OTHERS
    names = [name for name, _ in every_command()]
    for word, remedy in COMMANDS_OF_OTHERS.items():
        assert f"stout {word}" not in names and any(f" {name} " in f" {remedy} ".replace(",", " ") for name in names if name != "stout"), word


def test_the_list_of_commands_is_not_cut_short():
    for words in ([], ["instance"], ["pkg"], ["image"], ["network"]):
        text = subprocess.run(["/usr/bin/python3", "-m", "stout_tool", *words, "--help"], env=dict(ENVIRONMENT, COLUMNS="60"), capture_output=True,
                              text=True, check=True).stdout
        assert "..." not in text.partition("Commands:")[2] and max(map(len, text.partition("Commands:")[2].splitlines())) <= 60


def test_interrupted_at_its_very_start():
    """Whatever Python does then, it says nothing of its own, and the status is the signal's."""
    for moment in range(100):
        tool = subprocess.Popen([f"{TOP}/stout", "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(moment * 0.0005)
        tool.send_signal(signal.SIGINT)
        _, complaint = tool.communicate(timeout=60)
        assert not complaint.strip() and tool.returncode in (-signal.SIGINT, 130, 0), (moment, tool.returncode, complaint)


def test_help_is_a_word_too():
    for words, same in ((["help"], ["--help"]), (["help", "run"], ["run", "--help"]), (["pkg", "help", "load"], ["pkg", "load", "--help"])):
        first, second = (subprocess.run(["/usr/bin/python3", "-m", "stout_tool", *each], env=ENVIRONMENT, capture_output=True, text=True, check=True)
                         for each in (words, same))
        assert first.stdout == second.stdout and "Usage: stout" in first.stdout


def test_usage_is_one_sentence_with_a_remedy():
    for words, expected in ((["instanc", "list"], "There is no command stout instanc; did you mean instance?"),
                            (["pkg", "lits"], "There is no command stout pkg lits; did you mean list?"),
                            (["doctor", "--jsn"], "No such option: --jsn Did you mean --json?"),
                            (["pkg", "describe"], "Missing argument 'NAME'; see: stout pkg describe --help"),
                            (["build", "-t", "floppy", "x"], "see: stout build --help"), (["qqqq"], "There is no command stout qqqq; see --help."),
                            (["hlep"], "There is no command stout hlep; did you mean help?"),
                            (["completion"], "Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish; see: stout completion --help"),
                            (["instance", "kill", "x"], "use stout instance stop -t 0."), (["pkg", "delete", "x"], "use stout pkg remove."),
                            (["exec", "x", "sh"], "use stout instance attach"), (["instance", "restart", "x"], "use stout instance stop, then"),
                            (["run", "-it", "/bin/true"], "There is no option -t; -i is enough"), (["run", "--name", "x", "/bin/true"], "stout instance create"),
                            (["instance", "inspect", "--json"], "Missing argument 'NAME"),
                            (["core"], "There is no command stout core; see --help."), (["ps"], "There is no command stout ps; use stout instance list."),
                            (["volume", "create", "x"], "There is no command stout volume; use -v HOST:GUEST"), (["pkg", "ps"], "stout pkg ps; see --help."),
                            (["run", "--volume", "x:/y", "/bin/true"], "There is no option --volume; -v HOST:GUEST"),
                            (["run", "-d", "/bin/true"], "There is no option -d; stout instance create")):
        result = subprocess.run(["/usr/bin/python3", "-m", "stout_tool", *words], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 2 and result.stderr.startswith("stout: ") and result.stderr.count("\n") == 1, result.stderr
        assert expected in result.stderr and not result.stdout
