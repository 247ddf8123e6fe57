# SPDX-License-Identifier: Apache-2.0
"""Opening a run: what every verb that reads one begins with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bpfbench import store
from bpfbench.analysis import results
from bpfbench.analysis.results import Results
from bpfbench.report.about import About, describe


class Opened(NamedTuple):
    """A run that was read."""

    run: store.Run
    results: Results
    about: About


def opened(runs_dir: Path, name: str) -> Opened:
    """Find a run and read it, by path, by id, or `latest`.

    Raises:
        StoreError: there is no such run, or one of its files cannot be read.
    """
    return read(store.find(runs_dir, name))


def read(run: store.Run) -> Opened:
    """Read a run that was found, or made.

    Raises:
        StoreError: one of its files cannot be read.
    """
    found = results.load(run)
    return Opened(run, found, describe(run, found.records))
