# SPDX-License-Identifier: Apache-2.0
"""Hatchling's hook: into a wheel go the pages of the documentation, and what man and shells look for.

Both are made from the code that the wheel is made of.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MAKE = """
import runpy, sys
sys.path[:0], module, sys.argv[1:] = sys.argv[1:3], sys.argv[3], sys.argv[4:]
runpy.run_module(module, run_name="__main__")
"""


class Shared(BuildHookInterface[Any]):
    """Makes them in a directory that is gone when the wheel is there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, but for an editable install: its code and its pages go on changing."""
        if version == "editable":
            return
        self._made = TemporaryDirectory(prefix="bpfbench-share-")
        top, made = Path(self.root), Path(self._made.name)
        # In a process of its own: whoever builds may have imported another bpfbench. Paths by argument: of PYTHONPATH
        # pip takes out what an editable install of the same tree has, too.
        make = (sys.executable, "-c", MAKE, str(top / "src"), str(top / "guide"))
        subprocess.run((*make, "shared", str(made / "share")), check=True)
        subprocess.run((*make, "installed", str(made / "docs")), check=True)
        build_data["shared_data"][str(made / "share")] = "share"
        build_data["force_include"][str(made / "docs")] = "bpfbench/docs"  # what messages and help name
