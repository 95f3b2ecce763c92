# SPDX-License-Identifier: MIT
"""What is taken of a folder of Python modules that is too large to be taken whole."""
import pytest
from stout_tool.modules import LeftOut, imports_in, take_imported
from stout_tool.tree import Tree

FILES = {
    "web/__init__.py": "from .core import run\nimport helper.deep as deep\n", "web/core.py": "import os, \\\n    compiled\n", "web/tests/heavy.py": "import unused\n",
    "web-2.0.dist-info/top_level.txt": "web\n", "helper/__init__.py": "", "helper/deep.py": "from single import x\n", "single.py": "x = 1\n",
    "compiled.cpython-311-x86_64-linux-gnu.so": "\x7fELF", "named.py": "", "unused/__init__.py": "", "asked.py": "", "other-1.0.egg-info": "",
}


@pytest.fixture
def taken(tmp_path, capsys):
    """taken(script, more words) -> (top-level names that are in the image, what was said on stderr, the files that are ELF)"""
    folder = tmp_path / "dist-packages"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def call(script, *words):
        (tmp_path / "app.py").write_text(script)
        tree, elves = Tree(), []
        with tree.because("the program and its script"):
            tree.add_host(str(tmp_path / "app.py"))
        left_out = LeftOut(str(folder), lambda name, is_folder: name.rpartition("/")[2] == "tests", "python needs it")
        take_imported([left_out], tree, ["python3", *words, str(tmp_path / "app.py")], lambda source, place: elves.append(place), lambda text: None)
        below = [path.removeprefix(f"{folder}/") for path in tree.entries if path.startswith(f"{folder}/")]
        assert "web/tests/heavy.py" not in below
        return {path.partition("/")[0] for path in below}, capsys.readouterr().err, [path for path in elves if path.endswith(".so")]

    return call


def test_imports_of_imports_with_their_metadata(taken):
    names, said, elves = taken("#!/usr/bin/env python3\nimport web\n")
    assert names == {"web", "web-2.0.dist-info", "helper", "single.py", "compiled.cpython-311-x86_64-linux-gnu.so"}
    assert not said and len(elves) == 1


def test_names_in_strings_and_on_the_command_line(taken):
    assert taken("server = 'named:app'\n")[0] == {"named.py"}
    assert taken("", "-m", "asked")[0] == {"asked.py"}
    assert taken("", "-c", "import asked; import named")[0] == {"asked.py", "named.py"}
    assert taken("print('nothing')\n")[0] == set()


def test_a_name_made_at_run_time_is_told(taken):
    names, said, _ = taken("import importlib\nimportlib.import_module(prefix + 'x')\n")
    assert names == set() and "app.py imports by a name that it makes" in said and "--add" in said
    assert not taken("import importlib\nimportlib.import_module('named')\n")[1]


@pytest.mark.parametrize("text, names", [
    (b"import a.b as c, d\n", {"a", "d"}), (b"  from e import f\nx = 1; import g\n", {"e", "g"}), (b"from . import h\n", set()),
    (b"if x: import i # , j\n", {"i"}), (b"import k, \\\n  l\n", {"k", "l"}), (b"import ,\n", {""})])
def test_words_of_imports(text, names):
    assert imports_in(text) == names
