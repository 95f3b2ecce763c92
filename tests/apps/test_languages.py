# SPDX-License-Identifier: MIT
"""Perl, Ruby and PHP: processes, pipes and signals as their programs use them."""
import os

import pytest
from conftest import HERE, add, need

TOOLS = add("sh", "cat", "echo", "false", "grep", "id", "kill", "seq", "sleep", "sort", "stty", "tr", "true", "wc")


@pytest.mark.parametrize("cpus", ["1", "2"])
@pytest.mark.parametrize("command, script", [("perl", "perl/processes.pl"), ("ruby", "ruby/processes.rb"),
                                             ("php", "php/processes.php")])
def test_processes(same_as_linux, command, script, cpus):
    same_as_linux([need(command), os.path.join(HERE, script)], timeout=200, env={"PATH": "/usr/bin:/bin"},
                  options=["--cpus", cpus, "-m", "512M", *TOOLS])
