# SPDX-License-Identifier: MIT
"""Figures that do not depend on the machine's mood: sizes, instructions, least memory."""
import os
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))

from stout_tool import bench  # noqa: E402


@pytest.mark.parametrize("name", ["kernel image", "guest instructions", "least memory: static hello"])
def test_target(name):
    figure = next(figure for figure in bench.FIGURES if figure.name.startswith(name))
    result = figure.measure(bench.Bench())
    print(result)
    assert result["met"], result
