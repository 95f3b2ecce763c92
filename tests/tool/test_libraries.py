# SPDX-License-Identifier: MIT
"""The library resolver against ldd, and its rules for RPATH and friends."""
import os
import re
import shutil
import subprocess

import pytest
from stout_tool import elf
from stout_tool.errors import StoutError
from stout_tool.ldcache import make_cache
from stout_tool.libraries import Resolver, Root

PROGRAMS = ["python3", "ls", "node", "qemu-system-x86_64", "git", "redis-server", "nginx", "gdb", "cmake"]


def ldd(path):
    text = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return {os.path.realpath(found) for found in re.findall(r"(/\S+) \(0x", text)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_ldd(name):
    path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    found = {os.path.realpath(p) for p in Resolver(Root()).add(path)} - {os.path.realpath(path)}
    extra = {p for p in found if "libgcc_s" in p}
    assert found - extra == ldd(path) - extra


def test_origin_and_rpath_of_loader(compiled, tmp_path):
    (tmp_path / "lib").mkdir()
    for name, needs in (("deep", []), ("near", ["-ldeep"])):
        (tmp_path / f"{name}.c").write_text(f"int {name}(void) {{ return 1; }}\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wl,--no-as-needed", "-o", str(tmp_path / f"lib/lib{name}.so"),
                        str(tmp_path / f"{name}.c"), f"-L{tmp_path}/lib", *needs], check=True)
    source = "int near(void); int main(void) { return near() - 1; }"
    flags = [f"-L{tmp_path}/lib", "-lnear", f"-Wl,-rpath-link,{tmp_path}/lib", "-Wl,--disable-new-dtags"]
    program = compiled(source, *flags, "-Wl,-rpath,$ORIGIN/lib")
    found = Resolver(Root()).add(program)
    assert f"{tmp_path}/lib/libnear.so" in found
    assert f"{tmp_path}/lib/libdeep.so" in found  # DT_RPATH of the program counts for it too
    # DT_RUNPATH does not: only the file's own libraries are looked for there (ld.so(8)).
    program = compiled(source, *flags[:-1], "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/lib")
    with pytest.raises(StoutError, match="libdeep.so, which .*libnear.so needs"):
        Resolver(Root()).add(program)


def test_missing_library_is_named_with_who_needs_it(compiled, tmp_path):
    (tmp_path / "gone.c").write_text("int gone(void) { return 0; }\n")
    library = tmp_path / "libgone.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "gone.c")], check=True)
    program = compiled("int gone(void); int main(void) { return gone(); }", f"-L{tmp_path}", "-lgone")
    library.unlink()
    with pytest.raises(StoutError, match=r"libgone\.so, which .*program needs") as error:
        Resolver(Root()).add(program)
    assert error.value.status == 126


def test_musl_needs_its_loader_only(compiled):
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc")
    program = compiled("int main(void) { return 0; }", compiler="musl-gcc")
    assert Resolver(Root()).add(program) == [program, "/lib/ld-musl-x86_64.so.1"]


def test_paths_stay_inside_the_root(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/x").write_text("x")
    (tmp_path / "lib").symlink_to("/usr/lib")
    (tmp_path / "up").symlink_to("../../../../usr")
    root = Root(str(tmp_path))
    assert root.host("/lib/x") == str(tmp_path / "usr/lib/x")
    assert root.host("/up/lib/x") == str(tmp_path / "usr/lib/x")
    assert root.host("/../lib/../etc") == str(tmp_path / "usr/etc")


def test_cache_is_read_by_ldconfig(tmp_path):
    names = {f"lib{name}": f"/some/where/lib{name}" for name in (
        "c.so.6", "m.so.6", "x10.so.1", "x9.so.1", "x.so.10", "x.so.9", "stdc++.so.6", "a-2.so")}
    path = tmp_path / "cache"
    path.write_bytes(make_cache(names))
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:" + os.environ["PATH"])
    text = subprocess.run([ldconfig, "-p", "-C", str(path)], capture_output=True, text=True, check=True).stdout
    assert dict(re.findall(r"\t(\S+) \(libc6,x86-64\) => (\S+)", text)) == names


def test_cache_has_the_order_of_ldconfig():
    """The loader searches by halving, so the order must be glibc's: compared with the host's own cache."""
    with open("/etc/ld.so.cache", "rb") as file:
        data = file.read()
    start = data.find(b"glibc-ld.so.cache1.1")
    count = int.from_bytes(data[start + 20:start + 24], "little")
    text = lambda at: data[start + at:data.index(b"\0", start + at)].decode()
    names = []
    for index in range(count):
        entry = start + 48 + 24 * index
        if int.from_bytes(data[entry:entry + 4], "little") == 0x303:
            name = text(int.from_bytes(data[entry + 4:entry + 8], "little"))
            if not names or names[-1] != name:
                names.append(name)
    ours = make_cache({name: "/x" for name in reversed(names)})
    keys = [int.from_bytes(ours[52 + 24 * i:56 + 24 * i], "little") for i in range(len(names))]
    assert [ours[key:ours.index(b"\0", key)].decode() for key in keys] == names


def corrupt(data, offset, value):
    return data[:offset] + value + data[offset + len(value):]


@pytest.mark.parametrize("change, words", [
    (lambda d: d[:40], "truncated"),
    (lambda d: d[:3], "not an ELF"),
    (lambda d: d[:4000], "truncated"),
    (lambda d: corrupt(d, 32, b"\xff" * 8), "truncated"),            # e_phoff
    (lambda d: corrupt(d, 54, b"\x39\0"), "make no sense"),          # e_phentsize
    (lambda d: corrupt(d, 56, b"\xff\xff"), "make no sense"),        # e_phnum
    (lambda d: corrupt(d, 18, b"\xb7\0"), "ARM 64"),
    (lambda d: corrupt(d, 4, b"\x01"), "x32"),
    (lambda d: corrupt(corrupt(d, 4, b"\x01"), 18, b"\x03\0"), "32-bit x86"),
    (lambda d: corrupt(corrupt(d, 4, b"\x01"), 18, b"\x28\0"), "32-bit ARM"),
    (lambda d: corrupt(d, 16, b"\x01\0"), "object file"),
])
def test_bad_elf_files(compiled, tmp_path, change, words):
    with open(compiled("int main(void) { return 0; }"), "rb") as file:
        data = file.read()
    path = tmp_path / "bad"
    path.write_bytes(change(data))
    with pytest.raises(StoutError, match=words) as error:
        elf.ElfFile(str(path))
    assert error.value.status == 126 and str(path) in error.value.sentence


def test_no_change_of_a_byte_crashes_the_reader(compiled, tmp_path):
    """Every byte of the headers and of the dynamic section, set to three values: a sentence or success."""
    with open(compiled("int main(void) { return 0; }"), "rb") as file:
        data = file.read()
    path = tmp_path / "bad"
    parsed = elf.ElfFile(str(tmp_path / "program"))
    places = list(range(0, 64 + 56 * len(parsed.segments)))
    dynamic = next(s for s in parsed.segments if s[0] == elf.PT_DYNAMIC)
    places += list(range(dynamic[2], dynamic[2] + min(dynamic[5], 256)))
    for place in places:
        for value in (b"\0", b"\xff", b"\x80"):
            path.write_bytes(corrupt(data, place, value))
            try:
                elf.ElfFile(str(path))
            except StoutError:
                pass
