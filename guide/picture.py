# SPDX-License-Identifier: Apache-2.0
"""The picture of a terminal on the front pages: what `bpfbench summary` says of a run, as SVG.

    python guide/picture.py

draws the one of the stored run that README and docs/index.md show, docs/pictures/summary.svg.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TOP = Path(__file__).parents[1]
STORED = "tests/data/runs/quick"
"""The run that is shown where none is given."""
PLACE = "docs/pictures/summary.svg"
WIDTH = 100
"""Of the terminal that is shown."""


def of(run: Path) -> str:
    """Return the picture, which fetches nothing from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi("\n".join(_screen(_summary(run.resolve())))), soft_wrap=True)
    picture = console.export_svg(title=f"bpfbench summary {run.name}", unique_id="summary")
    return re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)


def _summary(run: Path) -> list[str]:
    """Return what `bpfbench summary` prints on a terminal."""
    terminal = {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | terminal
    argv = (sys.executable, "-m", "bpfbench", "summary", run.name, "--runs-dir", run.parent.name)
    place = run.parent.parent  # so that what is shown names no directory of this machine's
    done = subprocess.run(argv, cwd=place, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    return [line.rstrip() for line in done.stdout.splitlines()]


def _screen(said: list[str]) -> list[str]:
    """Return the heading, the first table and the answer, which is last, of what a summary prints."""
    blanks = [at for at, line in enumerate(said) if not line]
    return [*said[: blanks[2] + 1], "…", *said[blanks[-1] :]]


if __name__ == "__main__":
    (TOP / PLACE).write_text(of(TOP / STORED))
