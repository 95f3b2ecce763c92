# SPDX-License-Identifier: MIT
"""pip install . builds the kernel and the shipped musl and puts them beside the tool; all else stands in pyproject.toml."""
import os
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

TOP = os.path.dirname(os.path.abspath(__file__))


class BuildWithKernel(build_py):
    def run(self):
        super().run()
        sys.path.insert(0, os.path.join(TOP, "scripts"))
        from stout_tool import musl
        from stout_tool.kernel import current
        folder = os.path.join(self.build_lib, "stout_tool", "data")
        self.mkpath(folder)
        shutil.copy(current(), folder)
        shutil.copy(musl.shipped(), folder)


setup(cmdclass={"build_py": BuildWithKernel}, options={"build": {"build_base": "build/pip"}, "egg_info": {"egg_base": "build"}})
