# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: consoles, common options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import platformdirs
from cyclopts import Parameter
from rich.console import Console


class Pipe(Console):
    """A console that leaves it to us to say what it means that nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Pass it on."""
        raise BrokenPipeError


# Tables are wide: where nobody says how wide the output is, as in a pipe, they get room.
stdout = Pipe(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
stderr = Console(stderr=True)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
Verbose = Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", help="Show the commands that are run.")]
Wait = Annotated[
    bool,
    Parameter(
        name="--wait", env_var="BPFBENCH_WAIT", help="If another bpfbench is measuring on this machine, wait for it."
    ),
]
RunName = Annotated[str, Parameter(name="run", help="A run directory, the id of a run, or `latest`.")]
RunsDir = Annotated[Path, Parameter(name="--runs-dir", help="Directory that holds the runs.")]
StudyName = Annotated[str, Parameter(name="study", help="A shipped study, or the path of a study file.")]
Brought = Annotated[str | None, Parameter(name="--study", help="A study file that brings setups of its own.")]
DEFAULT_RUNS = Path("runs")


def cache_dir() -> Path:
    """Return where images and data files are kept: $BPFBENCH_CACHE, or where the system keeps caches."""
    if given := os.environ.get("BPFBENCH_CACHE"):
        return Path(given).absolute()
    root = os.geteuid() == 0
    return platformdirs.site_cache_path("bpfbench") if root else platformdirs.user_cache_path("bpfbench")


UNDECIDED = 3
"""The exit status of a check that cannot be decided, where that is to be told apart."""

Strict = Annotated[
    bool,
    Parameter(name="--strict", negative="", help="Exit with 3, not 0, if it cannot be told; 1 if it surely fails."),
]


def undecided(what: str, *, strict: bool) -> int:
    """Warn of what cannot be told, and return the exit status."""
    stderr.print(f"bpfbench: undecided: {what}", highlight=False, markup=False, soft_wrap=True)
    return UNDECIDED if strict else 0


def on_wait(*, wait: bool) -> Callable[[str], None] | None:
    """Return what tells of another bpfbench that is waited for, if it is to be."""

    def tell(message: str) -> None:
        stderr.print(f"bpfbench: {message}; waiting for it", highlight=False, markup=False, soft_wrap=True)

    return tell if wait else None
