# SPDX-License-Identifier: Apache-2.0
"""The turn to measure is the machine's: other users, sandboxes and containers are kept out by the same lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

from bpfbench.machine.turn import alone

pytestmark = pytest.mark.beside

ASK = "from bpfbench.machine.turn import alone\nwith alone(): pass"
HERE = f"another bpfbench is measuring on this machine: process {os.getpid()}, "
UNSEEN = "another bpfbench is measuring on this machine, and cannot be seen from here"


@pytest.mark.skipif(os.geteuid() != 0, reason="other users and namespaces are root's to make")
@pytest.mark.parametrize(
    ("elsewhere", "message"),
    [
        (("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"), HERE),
        (("unshare", "--mount", "--net", "--ipc", "--uts", "--cgroup"), HERE),
        (("unshare", "--fork", "--pid", "--mount-proc", "--mount", "--net", "--user", "--map-root-user"), UNSEEN),
        (("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"), UNSEEN),
    ],
    ids=["user", "namespaces", "container", "sandbox"],
)
def test_whoever_measures_elsewhere_on_this_machine_is_kept_out(elsewhere: Sequence[str], message: str) -> None:
    if shutil.which(elsewhere[0]) is None:
        pytest.skip(f"no {elsewhere[0]}")
    if subprocess.run([*elsewhere, sys.executable, "-c", "import bpfbench"], check=False, cwd="/").returncode != 0:
        pytest.skip("nobody else may execute this Python")
    with alone(lambda _: None):
        asked = subprocess.run(
            [*elsewhere, sys.executable, "-c", ASK], capture_output=True, text=True, check=False, cwd="/"
        )
    assert asked.returncode == 1
    assert message in asked.stderr.splitlines()[-1]
