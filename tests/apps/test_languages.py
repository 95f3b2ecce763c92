# SPDX-License-Identifier: MIT
"""Perl, Ruby, PHP and the C compiler: processes, pipes and signals as their programs use them."""
import os
import shutil
import subprocess

import pytest
from conftest import HERE, add, need

TOOLS = add("sh", "cat", "echo", "false", "grep", "id", "kill", "seq", "sleep", "sort", "stty", "tr", "true", "wc")


@pytest.mark.parametrize("cpus", ["1", "2"])
@pytest.mark.parametrize("command, script", [("perl", "perl/processes.pl"), ("ruby", "ruby/processes.rb"),
                                             ("php", "php/processes.php")])
def test_processes(same_as_linux, command, script, cpus):
    same_as_linux([need(command), os.path.join(HERE, script)], timeout=200, env={"PATH": "/usr/bin:/bin"},
                  options=["--cpus", cpus, "-m", "512M", *TOOLS])


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compiler():
    """The files of gcc, binutils and the C library that the tree in cc/ is built with."""
    tree = os.path.join(HERE, "cc/tree")
    files = set()
    for name in ("cc1", "cc1plus", "collect2", "lto-wrapper", "as", "ld"):
        files.add(ask("gcc", f"-print-prog-name={name}"))
    for name in ("crt1.o", "Scrt1.o", "crti.o", "crtn.o", "crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o", "crtendS.o",
                 "libgcc.a", "libgcc_eh.a", "libgcc_s.so", "libgcc_s.so.1", "libc.so", "libc.so.6", "libc.a", "libc_nonshared.a",
                 "libm.so", "libm.so.6", "libmvec.so.1", "libm.a", "libpthread.a", "libstdc++.so", "liblto_plugin.so"):
        files.add(ask("gcc", f"-print-file-name={name}"))
    for command, source in (("gcc", "main.c"), ("g++", "exceptions.cc")):
        files.update(word for word in ask(command, "-O1", "-M", f"-I{tree}/lib", f"{tree}/{source}").split()
                     if word.startswith("/usr"))
    files = [path if os.path.isabs(path) else shutil.which(path) for path in files]
    # As the compiler itself names them: it looks beside its own folder, through "..".
    words = [word for path in sorted(files) if path for word in ("--add", os.path.normpath(path))]
    return [*words, *add("gcc", "g++", "ar", "nm", "make", "mktemp", "rm"), "--add", tree]


def test_compiler(same_as_linux):
    """make -j2 runs gcc, as, ld and ar; then what they built."""
    for command in ("gcc", "g++", "make"):
        need(command)
    same_as_linux([shutil.which("make"), "-s", "-j2", "-C", os.path.join(HERE, "cc/tree"), "check"], timeout=400,
                  env={"PATH": "/usr/bin:/bin"}, options=["--cpus", "2", "-m", "1G", *TOOLS, *compiler()])
