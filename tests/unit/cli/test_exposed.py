# SPDX-License-Identifier: Apache-2.0
"""As root, no verb writes below a directory that others could put a link into; it says which, and does nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from invoked import Invoke, complaint

from bpfbench import soundness

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUNS = Path(__file__).parents[2] / "data" / "runs"


@pytest.fixture(autouse=True)
def _by_sudo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Be root, by sudo, as far as bpfbench can tell: whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    monkeypatch.setenv("SUDO_GID", str(os.getgid()))
    monkeypatch.setattr(soundness, "LOGIN", tmp_path / "none")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("report", str(RUNS / "format-4"), "--output", "{0}/new/report"), "--output"),
        (("history", str(RUNS), "--output", "{0}/new/page.html"), "--output"),
        (("history", str(RUNS), "--output", "{0}/page.html"), "--output"),
        (("run", "smoke", "--run-dir", "{0}/new/run"), "--run-dir"),
        (("run", "smoke", "--run-dir", "{0}/run"), "--run-dir"),
        (("run", "smoke", "--runs-dir", "{0}/runs"), "--run-dir"),
        (("tune", "--setups", "libbpf", "--run-dir", "{0}/run"), "--run-dir"),
    ],
)
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_it_is_refused_and_nothing_is_made(
    bpfbench: Invoke, tmp_path: Path, words: tuple[str, ...], option: str, mode: int
) -> None:
    for needed, verb in (("optuna", "tune"), ("ruptures", "history")):
        if words[0] == verb:
            pytest.importorskip(needed)
    (anybodys := tmp_path / "anybodys").mkdir()
    anybodys.chmod(mode)
    done = bpfbench(*(word.format(anybodys) for word in words))
    assert complaint(done, status=1) == (
        f"bpfbench: {anybodys}: can be written to by others, who could put links into it"
    )
    assert done.err.splitlines()[1].strip() in (f"choose another {option}", f"choose another directory: {option}")
    assert list(anybodys.iterdir()) == []


def test_in_ones_own_home_a_report_is_written(bpfbench: Invoke, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o750)
    done = bpfbench("report", str(RUNS / "format-4"), "--output", str(tmp_path / "home" / "report"))
    assert done.status == 0, done.err
