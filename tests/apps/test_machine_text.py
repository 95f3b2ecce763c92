# SPDX-License-Identifier: MIT
"""How the tests read what a machine writes, which may go on writing meanwhile, and look into one that hangs."""
import os
import re
import tempfile

from conftest import add, written


def test_reading_moves_no_writer():
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), b"first and more")
        os.lseek(file.fileno(), 5, os.SEEK_SET)
        assert written(file) == "first and more"
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 5


def test_what_a_machine_does_that_hangs(machine):
    vm = machine("/bin/sh", "-c", "echo up; sleep 1000; true", options=add("sleep"))
    vm.wait_for_text("up")
    text = vm.wait_for(lambda: " sleep: sleeping" in (text := vm.look_inside()) and text, "sleep asleep")
    expected = r"^process 1 sh: alive.*sys_wait4.*^    thread \d+ sleep: sleeping.*nanosleep"
    assert re.search(expected, text, re.DOTALL | re.MULTILINE), text
