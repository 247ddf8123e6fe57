# SPDX-License-Identifier: Apache-2.0
"""A host keeps blocks in spools, which come and go beside each other."""

from __future__ import annotations

import threading
from pathlib import Path

from bpfbench.cluster import spool


def test_spools_that_are_forgotten_meanwhile_are_in_nobodys_way(tmp_path: Path) -> None:
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            (spool.spools(tmp_path) / "run" / "7").mkdir(parents=True)
            spool.forget(tmp_path, "run", 7)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(2000):
            spool.discard_old(tmp_path)
            assert spool.running(tmp_path) == list(spool.of_run(tmp_path, "run")) == []
    finally:
        over.set()
        thread.join()
