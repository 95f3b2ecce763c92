# SPDX-License-Identifier: MIT
"""How the tests read what a machine writes: the machine may go on writing meanwhile."""
import os
import tempfile

from conftest import written


def test_reading_moves_no_writer():
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), b"first and more")
        os.lseek(file.fileno(), 5, os.SEEK_SET)
        assert written(file) == "first and more"
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 5
