# SPDX-License-Identifier: Apache-2.0
"""What tests of verbs share: bpfbench is called in an empty directory, with an empty cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from invoked import Invoke, Outcome


@pytest.fixture
def bpfbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., tuple[int, str, str]]) -> Invoke:
    """Call the entry point with these words, in an empty directory, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("BPFBENCH_MIRROR", "BPFBENCH_SUITE", "BPFBENCH_CA_BUNDLE", "BPFBENCH_WAIT"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: Outcome(*invoke(*words))
