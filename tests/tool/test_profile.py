# SPDX-License-Identifier: MIT
"""The profiler's half in the tool: the kernel's lines, unwinding, names, what is written."""
import json
import os
import random
import re
import subprocess
import xml.etree.ElementTree

import pytest

from stout_tool.elf_symbols import ElfData, SymbolFile
from stout_tool.errors import StoutError
from stout_tool.profile.flamegraph import draw
from stout_tool.profile.names import Namer
from stout_tool.profile.output import folded, functions, summary, top
from stout_tool.profile.record import Listener, Report, check_rate
from stout_tool.profile.samples import JitMap, Samples
from stout_tool.profile.unwind import Stack, UnwindTable

LINES = """begin 63 2
maps 1
map 1 400000 401000 0 /bin/a program
map 1 7f0000000000 7f0000001000 0
jit 1 7f0000000100 40 LazyCompile:*hot /srv/a.js:3
jit 1 7f0000000140 40 later one
sample 0 5f5e100 1 1 0 a?b k ffffffff80100010 ffffffff80200020 w 7 8 u 400010 7ffc00000000 7ffc00000020 100 s 0:400020 20:7ffc00000040
sample 1 5f5e200 0 0 1 net k ffffffff80300000 ffffffff80100010 w
counts 0 64 0 2
counts 1 a 1 0
end""".splitlines()


def read(lines):
    samples = Samples()
    for line in lines:
        samples.feed(line)
    return samples


def test_lines():
    samples = read(LINES)
    assert (samples.hz, samples.cpus, samples.is_over, samples.nbad) == (99, 2, True, 0)
    first, second = samples.samples
    assert (first.name, first.kernel, first.words, first.pc) == ("a?b", [0xffffffff80100010, 0xffffffff80200020], [7, 8], 0x400010)
    assert first.stack == {0x7ffc00000000: 0x400020, 0x7ffc00000020: 0x7ffc00000040}
    assert first.maps.find(0x400fff).path == "/bin/a program" and first.maps.find(0x401000) is None
    assert samples.jit[1].find(0x7f000000013f) == "LazyCompile:*hot /srv/a.js:3"
    assert samples.jit[1].find(0x7f0000000140) == "later one" and samples.jit[1].find(0x7f0000000180) is None
    assert (second.pid, second.flags, second.pc) == (0, 1, 0)
    assert "2 samples at 99 Hz; 110 more found the processors idle; 2 periods" in summary(samples)


@pytest.mark.parametrize("line", [
    "", "x", "begin", "begin 0 1", "begin g 1", "map 1 2", "map 9 1000 2000 0 /x", "map 1 2000 1000 0", "maps -1", "sample", "sample 0 0 0",
    "sample 0 0 0 0 0 n k zz", "sample 0 0 1 1 0 n k w u 1 2", "sample 0 0 1 1 0 n k w u 1 2 3 4 s 4", "sample 0 0 1 1 0 n k 11112222333344445 w",
    "counts 1", "jit 1", "jit 1 10 x y", "feed x", "samples 1", "sample " + "0" * (1 << 17)])
def test_bad_lines_are_counted(line):
    samples = read([line])
    assert samples.nbad == 1 and not samples.samples


def test_hostile_lines():
    """Nothing that a guest can say ends the tool."""
    dice = random.Random(20)
    alphabet = "0123456789abcdef :kwus\x00/é-_\ud800"
    for _ in range(300):
        lines = list(LINES)
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(lines))
            line = list(lines[at])
            for _ in range(dice.randint(1, 6)):
                line[dice.randrange(len(line)):dice.randrange(len(line) + 1)] = dice.choices(alphabet, k=dice.randint(0, 9))
                line = line or ["x"]
            lines[at] = "".join(line)
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
        samples = read(lines)
        stacks = Namer(samples, "/nonexistent", lambda path: None).stacks()
        xml.etree.ElementTree.fromstring(draw(stacks, "t", summary(samples)))
        folded(stacks)
        top(stacks)


def test_damaged_files(compiled):
    """Symbols and unwind tables of a file that somebody has changed."""
    with open(compiled("int main(void) { return 0; }"), "rb") as file:
        good = file.read()
    dice = random.Random(7)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(dice.randint(1, 20)):
            data[dice.randrange(min(len(data), dice.choice((64, 1000, len(data)))))] = dice.randrange(256)
        data = bytes(data[:dice.choice((len(data), dice.randrange(len(data))))])
        elf = ElfData(data)
        table = UnwindTable(elf)
        symbols = SymbolFile(data, elf)
        for _ in range(50):
            address = dice.randrange(0x5000)
            table.rule(address)
            symbols.find(address)


SOURCE = r"""
#include <stdio.h>
#include <string.h>
#include <alloca.h>
__attribute__((noinline)) void innermost(unsigned long *out)
{
    unsigned long pc, sp, fp;
    __asm__ volatile("mov %%rsp, %0; mov %%rbp, %1; lea 0(%%rip), %2" : "=r"(sp), "=r"(fp), "=r"(pc));
    printf("%lx %lx %lx\n", pc, sp, fp);
    for (int i = 0; i < 400; i++)
        printf("%lx:%lx ", sp + i * 8, ((unsigned long *)sp)[i]);
    printf("\n");
    out[0] = 1;
}
__attribute__((noinline)) int middle(int n)
{
    unsigned long *room = alloca(n * 8); /* this frame is found by its frame pointer */
    memset(room, n, n * 8);
    innermost(room);
    return (int)room[n - 1];
}
__attribute__((noinline)) int outer(int n)
{
    char room[300];
    memset(room, n, sizeof(room));
    int result = middle(n + room[n]);
    return result + room[n + 1];
}
int main(int argc, char **argv)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (fgets(line, sizeof(line), maps))
        fputs(line, stdout);
    return outer(argc + 20) == 12345;
}
"""


@pytest.mark.parametrize("flags", [["-O2", "-fno-omit-frame-pointer"], ["-O2"], ["-O2", "-static"], ["-O0"],
                                   ["-O2", "-fno-omit-frame-pointer", "-fno-asynchronous-unwind-tables"]])
def test_unwinding(compiled, flags):
    """A real stack: by the tables of .eh_frame, or by frame pointers."""
    program = compiled(SOURCE, *flags)
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    words = " ".join(re.sub(r"(\w+):(\w+) ?", r"\1:\2 ", lines[-1]).split())
    pc, sp, fp = (int(text, 16) for text in lines[-2].split())
    parts = []
    for item in words.split():
        at, _, value = item.partition(":")
        parts.append(f"{int(at, 16) - sp:x}:{value}")
    said = ["begin 63 1", "maps 1"]
    for line in lines[:-2]:
        found = re.match(r"(\w+)-(\w+) ..x. (\w+) \S+ \d+ *(/?.*)", line)
        if found:
            said.append(f"map 1 {found[1]} {found[2]} {found[3]} {found[4]}")
    said.append(f"sample 0 1 1 1 0 program k w u {pc:x} {sp:x} {fp:x} c80 s {' '.join(parts)}")
    samples = read(said)
    assert samples.nbad == 0
    from stout_tool.elf_symbols import map_file
    names = Namer(samples, "/nonexistent", map_file).stack(samples.samples[0])
    assert [name for name in names if name in ("main", "outer", "middle", "innermost")] == ["main", "outer", "middle", "innermost"], names
    if "-fno-asynchronous-unwind-tables" not in flags:
        assert "_start" in names[:2]


def test_stack_that_leads_nowhere():
    words = {0x1000 + 8 * n: 0x400000 + n for n in range(600)} | {0x2000: 0x2000}
    frames = Stack(0x400000, 0x1000, 0x1000, 600 * 8, words, lambda address: None).frames()
    assert frames == [0x400000]


def stacks_of(*texts):
    from collections import Counter
    return Counter({tuple(text.split(";")): count for text, count in texts})


def test_output():
    stacks = stacks_of(("t;main;a", 3), ("t;main;a;b", 1), ("t;main;a;a", 2), ("t;main;sys_read_[k]", 4))
    assert folded(stacks).splitlines() == ["t;main;a 3", "t;main;a;a 2", "t;main;a;b 1", "t;main;sys_read_[k] 4"]
    assert functions(stacks)[0] == ("a", 5, 6) and ("main", 0, 10) in functions(stacks)
    assert " 40.0 %  40.0 %  sys_read  (kernel)" in top(stacks)
    text = draw(stacks, "a <title> & more", "note")
    root = xml.etree.ElementTree.fromstring(text)
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "a (6 samples, 60.00 %)" in titles and "all (10 samples, 100.00 %)" in titles
    assert "a <title>" not in text and text.count("data-n=") == 7


def test_jit_replaces():
    jit = JitMap()
    assert jit.add("1000 100 old") and jit.add("1080 10 inner") and not jit.add("1000") and jit.add("1000 100 new name")
    assert (jit.find(0x1085), jit.find(0x1090), jit.find(0x10ff), jit.find(0x1100)) == ("inner", "new name", "new name", None)


def test_options(tmp_path):
    for bad in (lambda: Report("x.png", False, False), lambda: check_rate(0, None), lambda: check_rate(99, -1)):
        with pytest.raises(StoutError):
            bad()
    assert Report(None, False, False).output == "profile.svg" and Report(None, True, False).output is None
    report = Report(str(tmp_path / "p.json"), False, False)
    report.write(read(LINES), "/nonexistent", lambda path: None, "title")
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["samples"] == 2 and document["idle"] == {"0": 100, "1": 10}
    with pytest.raises(StoutError):
        report.write(read([]), "/nonexistent", lambda path: None, "title")


def test_a_place_that_cannot_be_written(stout, kernel, fake_qemu, compiled, tmp_path):
    """Known before the program runs, whose samples would be lost."""
    script = f"open({str(tmp_path / 'ran')!r}, 'w')"
    for place in (str(tmp_path / "absent/p.svg"), "/proc/p.svg"):
        result = stout("profile", "--kernel", kernel, "--accel", "tcg", "-o", place, compiled("int main(void) { return 0; }"),
                       env={"PATH": f"{fake_qemu}:{os.environ['PATH']}", "FAKE_QEMU": script})
        assert result.returncode == 2 and f"-o {place} cannot be written".encode() in result.stderr, result.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words, what", [
    (["-m", "64M"], "-m"), (["-p", "80"], "-p"), (["-c", "x.yaml"], "-c"), (["--kernel-option", "x"], "--kernel-option"), (["-i"], "-i"),
    (["--net", "none"], "--net"), (["program"], "the program"),
])
def test_an_instance_takes_no_options_of_a_run(stout, words, what):
    result = stout("profile", "--instance", "web", "--hz", "50", *words)
    assert (result.returncode, result.stderr.decode()) == (2, f"stout: --instance looks into what runs already; leave out {what}.\n")


def test_duration_begins_with_the_samples():
    listener = Listener(Samples(), 5.0)
    listener.line("counts 0 0 0 0")
    assert listener.deadline is None
    listener.line("begin 63 1")
    assert listener.deadline is not None


def test_a_program_and_ctrl_c(stout, kernel, fake_qemu, compiled, tmp_path):
    """What the kernel sends at last is waited for, and written, when the tool is told to end."""
    script = ("import time\nc = channel['control']\nc.sendall(b'profile begin 63 1\\nprofile sample 0 1 0 0 0 early k ffffffff80000000 w\\n')\n"
              "os.kill(os.getppid(), 2)\nwhile b'profile 0' not in c.recv(100): pass\n"
              "c.sendall(b'profile sample 0 1 0 0 0 late k ffffffff80000000 w\\nprofile end\\n')\ntime.sleep(30)")
    output = tmp_path / "out.folded"
    result = stout("profile", "--kernel", kernel, "--accel", "tcg", "-o", str(output), compiled("int main(void) { return 0; }"),
                   env={"PATH": f"{fake_qemu}:{os.environ['PATH']}", "FAKE_QEMU": script})
    assert result.returncode == 130, result.stderr
    assert [line.split(";")[0] for line in output.read_text().splitlines()] == ["early", "late"]
