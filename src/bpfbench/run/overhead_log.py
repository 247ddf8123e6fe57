# SPDX-License-Identifier: Apache-2.0
"""The directory of what overhead measures.

    DIR/overhead.json       what was asked for, when and where
    DIR/trials.jsonl        every trial that has ended, a line each, in their order
    DIR/log.txt             what bpfbench said and ran

docs/result-format.md describes every file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench.codec import to_json
from bpfbench.errors import StoreError
from bpfbench.model.target import OverheadRecord, OverheadStudy
from bpfbench.soundness import exposed
from bpfbench.store import writing


@dataclass(frozen=True, slots=True)
class OverheadInfo:
    """What an overhead was measured of."""

    format: int
    id: str
    created_at: str
    bpfbench_version: str
    study: OverheadStudy
    machine: dict[str, Any]


class OverheadLog:
    """A new directory for what overhead measures.

    Raises:
        StoreError: it exists, or cannot be written, or others could put links on the way to it.
    """

    def __init__(self, path: Path, info: OverheadInfo) -> None:
        self.path, self.machine = path, info.machine
        if reason := exposed(path):
            raise StoreError(reason, "choose another --runs-dir")
        try:
            path.mkdir(parents=True)
            (path / "overhead.json").write_text(to_json(info))
        except OSError as error:
            raise StoreError(f"{path}: cannot be made: {error.strerror}", "choose another --runs-dir") from error

    @property
    def log_file(self) -> Path:
        """What bpfbench said."""
        return self.path / "log.txt"

    def add(self, record: OverheadRecord) -> None:
        """Keep a trial, on disk before this returns.

        Raises:
            StoreError: it cannot be written.
        """
        with writing(self.path), (self.path / "trials.jsonl").open("a") as file:
            file.write(to_json(record, indent=None))
            file.flush()
            os.fsync(file.fileno())
