# SPDX-License-Identifier: Apache-2.0
"""The verb `cluster`, and files of hosts in other verbs: what is said before any host is reached."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]

LAB = """
[cluster]
name = "lab"
listen = "127.0.0.1"
[hosts.alpha]
address = "127.0.0.1"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cluster", "up"), "a cluster wants asyncssh, which is not installed\n"),
        (("clutser",), 'unknown command "clutser"'),
        (("run", "smoke", "--testbed", "cluster"), "testbed cluster wants "),
    ],
)
def test_without_its_packages_one_sentence_says_so_and_nothing_else_suffers(words: tuple[str, ...], said: str) -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('asyncssh', 'cryptography', 'dask', 'distributed')))\n"
        "from bpfbench.cli import main; main()"
    )
    ended = subprocess.run((sys.executable, "-c", script, *words), capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.lower().startswith(f"bpfbench: {said}")


@pytest.mark.parametrize("verb", ["up", "status", "down"])
def test_a_file_of_hosts_that_is_not_there_is_said_to_be(invoke: Invoke, verb: str) -> None:
    pytest.importorskip("asyncssh")
    status, _, err = invoke("cluster", verb)
    assert status == 2
    assert err.startswith("bpfbench: hosts.toml: cannot be read: No such file or directory\n")


def test_a_scheduler_without_certificates_is_for_this_machine_alone(invoke: Invoke) -> None:
    pytest.importorskip("distributed")
    status, _, err = invoke("cluster", "scheduler", "--listen", "10.0.0.1", "--port", "8786")
    assert status == 1
    assert "without certificates, whoever reaches it can run things as root on every host" in err


def test_a_run_on_a_cluster_that_is_not_up_says_how_to_bring_it_up(invoke: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("asyncssh")
    (tmp_path / "hosts.toml").write_text(LAB)
    status, _, err = invoke("run", "smoke", "--testbed", "cluster", "--hosts", "hosts.toml")
    assert status == 1
    assert err == "bpfbench: cluster lab is not up\n  bpfbench cluster up hosts.toml\n"


def test_a_run_takes_its_hosts_and_their_ground_from_the_file(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_text(LAB.replace("[hosts.alpha]", "[hosts.alpha]\nadress = 1\n"))
    status, _, err = invoke("run", "smoke", "--testbed", "cluster", "--hosts", "hosts.toml")
    assert status == 2
    assert "hosts.toml: hosts.alpha.adress: unknown key" in err
    assert "did you mean 'address'?" in err
