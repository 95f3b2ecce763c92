# SPDX-License-Identifier: MIT
"""Packages from a Debian repository on this machine, and the effects of maintainer scripts."""
import json
import os
import subprocess
import sys

import pytest
from test_run import dry, manifest_of, refused

POSTINST = r"""#!/bin/sh
set -e
USER="served"
jre_tools='one two'
if [ "$1" = configure ]; then
    adduser --system --group --home /var/lib/served --gecos "The, server" $USER || true
    addgroup --system extra
    install -d -o $USER -g extra -m 0750 /var/lib/served
    for DIR in /var/log/served; do
        mkdir -p $DIR
        chown $USER:adm ${DIR}
    done
    dpkg-statoverride --update --add ${USER} extra 640 /etc/served.conf
    if [ ! -e /etc/enabled ]; then
        ln -s /etc/served.conf /etc/enabled
    fi
    ln -s /nowhere/at/all /etc/dangling
    for i in $jre_tools; do
        update-alternatives \
            --install /usr/bin/$i $i /usr/lib/served/$i 50 $slave1
    done
    update-alternatives --install /usr/bin/one one /usr/lib/served/two 70
    update-alternatives --install /usr/bin/three three /usr/lib/served/absent 70
    rm -rf / --no-preserve-root; touch /tmp/executed-$$; chown nobody:$(id -gn) /etc/served.conf
fi
"""


@pytest.fixture
def repository(tmp_path, compiled, monkeypatch):
    """served, which depends on libdep and on adduser (which is not fetched), and what every package gets."""
    with open(compiled("int main(void) { return 0; }", "-static"), "rb") as file:
        program = file.read()
    pool = tmp_path / "pool"
    pool.mkdir()

    def add(name, files, depends="", postinst="", architecture="amd64"):
        top = tmp_path / f"deb-{name}"
        (top / "DEBIAN").mkdir(parents=True)
        (top / "DEBIAN/control").write_text(f"Package: {name}\nVersion: 1.0\nArchitecture: {architecture}\nMaintainer: T <t@example.org>\n"
                                            + (f"Depends: {depends}\n" if depends else "") + "Description: test\n")
        if postinst:
            (top / "DEBIAN/postinst").write_text(postinst)
            (top / "DEBIAN/postinst").chmod(0o755)
        for path, data in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data if isinstance(data, bytes) else data.encode())
            (top / path).chmod(0o755 if isinstance(data, bytes) else 0o644)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(top), str(pool / f"{name}_1.0_{architecture}.deb")], check=True,
                       stdout=subprocess.DEVNULL)

    add("served", {"usr/sbin/served": program, "etc/served.conf": "x", "usr/lib/served/one": program, "usr/lib/served/two": program,
                   "usr/share/doc/served/README": "long", "usr/share/doc/served/copyright": "free", "usr/share/man/man1/served.1": "long",
                   "usr/lib/sysusers.d/served.conf": 'u queue - "Queue" /var/queue\n'}, "libdep (>= 1), adduser (>= 3)", POSTINST)
    add("libdep", {"lib/x86_64-linux-gnu/libdep.so.1": "lib", "usr/share/ca-certificates/a.crt": "A\n", "usr/share/ca-certificates/b.crt": "B"})
    library = compiled("int answer(void) { return 42; }", "-shared", "-fPIC", "-Wl,-soname,libodd.so.1", name="libodd")
    with open(library, "rb") as file:
        odd = file.read()
    with open("/lib64/ld-linux-x86-64.so.2", "rb") as file:
        loader = file.read()
    add("odd", {"opt/odd/lib/libodd.so.1": odd, "opt/odd/lib/libtext.so.1": "GROUP ( x )", "etc/ld.so.conf.d/odd.conf": "# odd\n/opt/odd/lib\n",
                "lib64/ld-linux-x86-64.so.2": loader, f"usr/bin/python3.{sys.version_info[1]}": program, "usr/bin/odd": program,
                "usr/lib/python3/dist-packages/odd/one.py": "ANSWER = 6 * 7\n", "usr/lib/python3/dist-packages/odd/two.py": "is no python"})
    add("two-tools", {"usr/bin/first": program, "usr/bin/second": program})
    add("broken", {"usr/bin/broken": program}, "nothing-has-this")
    add("dash", {"bin/dash": program})
    add("base-passwd", {"usr/share/base-passwd/passwd.master": "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/:/bin/sh\n",
                        "usr/share/base-passwd/group.master": "root:*:0:\nadm:*:4:\nnogroup:*:65534:\n"})
    with open(pool / "Packages", "wb") as file:
        subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=pool, stdout=file, stderr=subprocess.DEVNULL, check=True)
    state = tmp_path / "apt"
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (state / name).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [trusted=yes] copy:{pool} ./\n")
    (state / "status").write_text("")
    (state / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{state}/sources.list";\nDir::Etc::sourceparts "{state}/etc";\nDir::State "{state}";\n'
        f'Dir::State::lists "{state}/lists/";\nDir::State::status "{state}/status";\nDir::Cache "{state}/cache";\n'
        'APT::Sandbox::User "root";\nAcquire::Languages "none";\n')
    monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return pool


def last_line(result, status, *words):
    text = result.stderr.decode()
    assert result.returncode == status and "Traceback" not in text, text
    for word in words:
        assert word in text.splitlines()[-1], text


@pytest.mark.usefixtures("repository")
def test_from_apt(stout, home):
    result = stout("pkg", "from-apt", "served", "-a", "--quiet")
    assert result.returncode == 0, result.stderr.decode()
    manifest = json.loads((home / "packages/served/package.json").read_text())
    files = manifest["files"]
    assert manifest["program"] == "/usr/sbin/served" and manifest["args"] == ["--quiet"]
    assert files["/bin"]["target"] == "usr/bin" and files["/usr/bin/sh"]["target"] == "dash"
    assert "/usr/lib/x86_64-linux-gnu/libdep.so.1" in files and "/usr/share/doc/served/copyright" in files
    assert not [path for path in files if "README" in path or "/man/" in path]
    root = home / "packages/served/root"
    passwd = (root / "etc/passwd").read_text()
    assert "root:x:0:0" in passwd and "served:x:102:102::/var/lib/served:" in passwd and "queue:x:101:101::/var/queue:" in passwd
    group = (root / "etc/group").read_text()
    extra = int(next(line for line in group.splitlines() if line.startswith("extra:")).split(":")[2])
    assert (files["/var/lib/served"]["uid"], files["/var/lib/served"]["gid"]) == (102, extra)
    assert (files["/var/log/served"]["uid"], files["/var/log/served"]["gid"]) == (102, 4)
    assert files["/etc/served.conf"]["mode"] == "0640" and files["/etc/served.conf"]["gid"] == extra
    assert files["/etc/enabled"]["target"] == "/etc/served.conf" and "/etc/dangling" not in files
    assert files["/usr/bin/one"]["target"] == "/etc/alternatives/one" and files["/etc/alternatives/one"]["target"] == "/usr/lib/served/two"
    assert files["/etc/alternatives/two"]["target"] == "/usr/lib/served/two" and "/usr/bin/three" not in files
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text() == "A\nB\n"
    assert "program=/usr/sbin/served" in manifest_of(dry(stout("pkg", "load", "served", "-u", "served", "--dry-run")))


@pytest.mark.usefixtures("repository")
def test_which_program(stout, home):
    last_line(stout("pkg", "from-apt", "two-tools"), 2, "--program", "first, second")
    last_line(stout("pkg", "from-apt", "two-tools", "--program", "third"), 127, "third", "--program")
    assert os.listdir(home / "packages") == []
    assert stout("pkg", "from-apt", "two-tools", "--program", "second", "-n", "2").returncode == 0
    assert json.loads((home / "packages/2/package.json").read_text())["program"] == "/usr/bin/second"


@pytest.mark.usefixtures("repository")
def test_what_triggers_make(stout, home):
    assert stout("pkg", "from-apt", "odd").returncode == 0
    root = home / "packages/odd/root"
    shown = subprocess.run(["/sbin/ldconfig", "-p", "-C", str(root / "etc/ld.so.cache")], capture_output=True, text=True, check=True).stdout
    assert "libodd.so.1 (libc6,x86-64) => /opt/odd/lib/libodd.so.1" in shown and "libtext" not in shown
    files = json.loads((home / "packages/odd/package.json").read_text())["files"]
    compiled = f"/usr/lib/python3/dist-packages/odd/__pycache__/one.{sys.implementation.cache_tag}.pyc"
    assert compiled in files and not [path for path in files if "two." in path and path.endswith(".pyc")]
    script = f"import sys; sys.path.insert(0, {str(root)!r} + '/usr/lib/python3/dist-packages'); import odd.one; print(odd.one.ANSWER, odd.one.__cached__)"
    result = subprocess.run(["/usr/bin/python3", "-v", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("42 ") and f"matches {root}/usr/lib/python3/dist-packages/odd/one.py" in result.stderr


def test_bad_packages(stout, home, repository):
    last_line(stout("pkg", "from-apt", "no-such-thing"), 127, "no-such-thing", "apt-cache search")
    last_line(stout("pkg", "from-apt", "broken"), 125, "apt-get")
    last_line(stout("pkg", "from-apt", "../x"), 2, "'../x'")
    last_line(stout("pkg", "from-apt", "--", "-o=x"), 2, "-o=x")
    data = (repository / "served_1.0_amd64.deb").read_bytes()
    (repository / "served_1.0_amd64.deb").write_bytes(data[:-100] + bytes(100))
    last_line(stout("pkg", "from-apt", "served"), 125, "apt-get")
    assert os.listdir(home / "packages") == [] and os.listdir(home / "new") == []


def test_only_plain_commands_count():
    from stout_tool.packages.maintainer import commands
    found = list(commands("a=1\nif [ $a = 1 ]; then mkdir -p /x/$a; fi\nmkdir $(id)\nmkdir /y/$unset/z\nmkdir `id`\nmkdir '/a b'\nmkdir \"\n"
                          "for i in 1 2; do mkdir /l/$i; done\n"))
    assert ["mkdir", "-p", "/x/1"] in found and ["mkdir", "/a b"] in found
    assert not [words for words in found if words[0] == "mkdir" and any("$" in word or "unset" in word or "id" in word for word in words)]


def test_no_room_for_what_is_fetched(stout, home, tmp_path, monkeypatch):
    """apt measures it, and says no more than this."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apt-get").write_text("#!/bin/sh\nfor word; do case $word in Dir::Cache::archives=*) place=${word#*=} ;; esac; done\n"
                                          "echo \"E: You don't have enough free space in $place.\" >&2; exit 100\n")
    (tmp_path / "bin/apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    refused(stout("pkg", "from-apt", "hello", env={"TMPDIR": str(tmp_path)}), 125, f"stout: {tmp_path}: no space left on device", "TMPDIR")
