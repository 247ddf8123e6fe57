# SPDX-License-Identifier: Apache-2.0
"""Hatchling's hook: into a wheel goes what man and shells look for, made from the code that the wheel is made of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shared(BuildHookInterface[Any]):
    """Makes them in a directory that is gone when the wheel is there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, but for an editable install: its code goes on changing."""
        if version == "editable":
            return
        self._made = TemporaryDirectory(prefix="bpfbench-share-")
        top = Path(self.root)
        # In a process of its own: whoever builds may have imported another bpfbench.
        path = os.pathsep.join([str(top / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
        argv = (sys.executable, str(top / "guide" / "shared.py"), self._made.name)
        subprocess.run(argv, check=True, env=os.environ | {"PYTHONPATH": path})
        build_data["shared_data"][self._made.name] = "share"
