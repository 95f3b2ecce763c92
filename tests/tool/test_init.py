# SPDX-License-Identifier: MIT
"""stout init: what it makes of a folder, which stout run -c then takes."""
import json
import os
import shutil

import pytest
import yaml
from test_run import dry, manifest_of, refused


def written(stout, folder):
    result = stout("init", str(folder))
    assert (result.returncode, result.stdout.decode()) == (0, f"{folder}/stout.yaml\n"), result.stderr
    return yaml.safe_load((folder / "stout.yaml").read_text())


@pytest.mark.parametrize("package, program", [
    ({"main": "lib/start.js"}, "lib/start.js"),
    ({"main": "lib/start"}, "lib/start.js"),
    ({"scripts": {"start": "node server.js --port 80"}}, "server.js"),
    ({"scripts": []}, "server.js"),
])
def test_node(stout, tmp_path, package, program):
    (tmp_path / "lib").mkdir()
    for name in ("lib/start.js", "server.js"):
        (tmp_path / name).write_text("")
    (tmp_path / "package.json").write_text(json.dumps(package))
    config = written(stout, tmp_path)
    assert config["program"] == program
    assert config.get("args") == (["--port", "80"] if "start" in package.get("scripts", ()) else None)


def test_how_a_port_is_published_is_said(stout, tmp_path):
    (tmp_path / "server.js").write_text("")
    (tmp_path / "package.json").write_text("{}")
    assert "publish" not in written(stout, tmp_path)
    line = next(line for line in (tmp_path / "stout.yaml").read_text().splitlines() if "publish" in line)
    (tmp_path / "stout.yaml").write_text("program: server.js\n" + line.removeprefix("# "))
    assert yaml.safe_load((tmp_path / "stout.yaml").read_text())["publish"] == ["8080:8080"]
    command = dry(stout("run", "--dry-run", "-c", f"{tmp_path}/stout.yaml"))
    assert any("hostfwd=tcp:127.0.0.1:8080-10.0.2.15:8080" in word for word in command)


def test_start_with_variables(stout, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.js").write_text("")
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"start": "cross-env NODE_ENV=production A='x y' node ./src/main.js -v"}}))
    assert written(stout, tmp_path) == {"program": "src/main.js", "args": ["-v"], "env": {"NODE_ENV": "production", "A": "x y"}}


@pytest.mark.parametrize("lines, expected", [
    ('WORKDIR /srv\nENV A=1\nCMD ["node", "run.js", "-p", "80"]', {"program": "run.js", "args": ["-p", "80"], "env": {"A": "1"}}),
    ("WORKDIR /srv\nWORKDIR app\nENTRYPOINT [\"python3\"]\nCMD [\"/srv/app/job.py\"]", {"program": "job.py"}),
    ("CMD B=2 python3 job.py", {"program": "job.py", "env": {"B": "2"}}),
    ('CMD ["npm", "start"]', {"program": "server.js"}), ("CMD node run.js && echo", {"program": "server.js"}),
])
def test_command_of_a_dockerfile(stout, tmp_path, lines, expected):
    for name in ("run.js", "job.py", "server.js"):
        (tmp_path / name).write_text("")
    (tmp_path / "Dockerfile").write_text(f"FROM x\n{lines}\n")
    assert written(stout, tmp_path) == expected


def test_python_with_a_dockerfile(stout, tmp_path):
    for name in ("requirements.txt", "app.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "Dockerfile").write_text("FROM python\nENV A=1 \\\n    B='x y'\nENV C=$PATH\nEXPOSE 18436 18437/udp\n")
    assert written(stout, tmp_path) == {"program": "app.py", "publish": ["18436", "18437/udp"], "env": {"A": "1", "B": "x y"}}


def test_a_binary_runs_with_it(stout, compiled, tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    shutil.copy(compiled("int main(void) { return 0; }"), folder / "tool")
    assert written(stout, folder) == {"program": "tool"}
    command = dry(stout("run", "--dry-run", "-c", str(folder / "stout.yaml"), cwd="/"))
    assert f"program={folder}/tool" in manifest_of(command)
    refused(stout("init", str(folder)), 2, "stout.yaml", "exists")


def test_go(stout, compiled, tmp_path):
    (tmp_path / "go.mod").write_text("module example.org/a/program\n")
    refused(stout("init", str(tmp_path)), 2, "go build")
    compiled("int main(void) { return 0; }")
    assert written(stout, tmp_path) == {"program": "program"}


def test_lone_script(stout, tmp_path):
    (tmp_path / "server.js").write_text("")
    assert written(stout, tmp_path) == {"program": "server.js"}


def test_refusals(stout, tmp_path):
    refused(stout("init", str(tmp_path)), 2, str(tmp_path), "package.json")
    refused(stout("init", str(tmp_path / "none")), 2, "none")
    (tmp_path / "package.json").write_text("{")
    refused(stout("init", str(tmp_path)), 2, "package.json", "JSON")
    (tmp_path / "package.json").write_text("{}")
    refused(stout("init", str(tmp_path)), 2, "main")
    assert not (tmp_path / "stout.yaml").exists()


def test_to_standard_output(stout, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/server.js").write_text("")
    result = stout("init", "-o", "-", "app", cwd=tmp_path)
    assert result.returncode == 0 and yaml.safe_load(result.stdout) == {"program": "app/server.js"}, result.stderr
    assert os.listdir(tmp_path) == ["app"] and os.listdir(tmp_path / "app") == ["server.js"]
    refused(stout("init", "-o", "-", "--json", "app", cwd=tmp_path), 2, "--json")
