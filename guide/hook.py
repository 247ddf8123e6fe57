# SPDX-License-Identifier: Apache-2.0
"""Hatchling's hook: into a wheel goes what man and shells look for, made from the code that the wheel is made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MAKE = """
import runpy, sys
sys.path[:0], sys.argv[1:3] = sys.argv[1:3], ()
runpy.run_module("shared", run_name="__main__")
"""


class Shared(BuildHookInterface[Any]):
    """Makes them in a directory that is gone when the wheel is there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, but for an editable install: its code goes on changing."""
        if version == "editable":
            return
        self._made = TemporaryDirectory(prefix="bpfbench-share-")
        top = Path(self.root)
        # In a process of its own: whoever builds may have imported another bpfbench. Paths by argument: of PYTHONPATH
        # pip takes out what an editable install of the same tree has, too.
        subprocess.run((sys.executable, "-c", MAKE, str(top / "src"), str(top / "guide"), self._made.name), check=True)
        build_data["shared_data"][self._made.name] = "share"
