# SPDX-License-Identifier: Apache-2.0
"""All that a user types, in one go: hosts with addresses and SSH servers of their own, and nothing left there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ensemble import BPFBENCH, CONTROL, STUDY, cache, left_in_kernel, until
from lab import Host, laboratory
from sshd import keygen, known, server

from bpfbench.cluster import wheels
from bpfbench.inside import leftovers
from bpfbench.store import Run
from bpfbench.testbed.image import Image

pytestmark = pytest.mark.skipif(shutil.which("sshd") is None, reason="no sshd: apt-get install openssh-server")

HOSTS = ("alpha", "beta")
SHORT = STUDY.replace("repetitions = 4", "repetitions = 2")


@dataclass(frozen=True)
class Lab:
    """A machine that controls, and two that are reached by SSH alone."""

    place: Path
    hosts: dict[str, Host]

    def environment(self) -> dict[str, str]:
        """A user's, whose keys are no part of it."""
        return {"HOME": str(self.place), "SSH_AUTH_SOCK": ""}

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command on the machine that controls; nobody is to be shown a traceback."""
        ended = self.hosts[CONTROL].run(*BPFBENCH, *words, env=self.environment())
        assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    def processes(self) -> list[str]:
        """Return the command lines of what runs on hosts beside their SSH servers."""
        lines = [f"{name}: {line}" for name, host in self.hosts.items() for line in host.processes().values()]
        return [line for line in lines if "sshd" not in line]

    def answer(self, *words: str) -> Any:
        """Return what a command says in JSON."""
        return json.loads(self.type(*words, "--json").stdout)["data"]


@pytest.fixture
def lab(trixie: Image, tmp_path: Path) -> Iterator[Lab]:
    assert trixie.setups
    with_wheels()
    keygen(tmp_path / "key")
    with laboratory(tmp_path, (CONTROL, *HOSTS), cache()) as hosts:
        for name in HOSTS:
            hosts[name].start(*server(tmp_path, name, "0.0.0.0", 22), log="sshd.log")  # noqa: S104 - its own network
        (tmp_path / "known_hosts").write_text("".join(known(tmp_path, name, hosts[name].address) for name in HOSTS))
        file = f'[cluster]\nname = "lab"\nlisten = "{hosts[CONTROL].address}"\nidentity_file = "key"\n'
        file += f'known_hosts = "known_hosts"\ncache = "{cache()}"\n'
        file += "".join(f'[hosts.{name}]\naddress = "{hosts[name].address}"\n' for name in HOSTS)
        (tmp_path / "hosts.toml").write_text(file)
        (tmp_path / "study.toml").write_text(SHORT)
        yield Lab(tmp_path, hosts)


def with_wheels() -> None:
    """Have the packages of hosts in the cache: a laboratory has no way to a registry."""
    code = "import json, platform; print(json.dumps([platform.python_version(), *platform.libc_ver()]))"
    version, *libc = json.loads(subprocess.run(("python3", "-c", code), capture_output=True, check=True).stdout)
    facts = {"version": version, "implementation": "CPython", "libc": libc, "machine": os.uname().machine}
    wheels.fetched(cache(), wheels.interpreter(facts))


def test_up_run_status_follow_and_down(lab: Lab) -> None:
    before = {name: host.mounts() for name, host in lab.hosts.items()}
    inventory = leftovers.take(Path("/run"))
    hosts, path = str(lab.place / "hosts.toml"), lab.place / "run"

    up = lab.type("cluster", "up", hosts)
    assert "the scheduler is at tls://10.0.0.1:8786" in up.stderr
    for name in HOSTS:
        assert f"{name}: its worker has begun" in up.stderr
    assert f"next: bpfbench run STUDY --testbed cluster --hosts {hosts}" in up.stderr

    words = ("run", str(lab.place / "study.toml"), "--testbed", "cluster", "--hosts", hosts, "--run-dir", str(path))
    control = lab.hosts[CONTROL]
    running = control.start(*BPFBENCH, *words, log="run.log", env=lab.environment())
    until(lambda: (path / "live.json").exists(), 120, f"the run begins\n{control.said('run.log')}")
    following = control.start(*BPFBENCH, "status", str(path), "--follow", log="follow.log")
    until(lambda: "left on 2 hosts" in control.said("follow.log"), 180, "who follows is told how long is left")
    there = lab.answer("cluster", "status", hosts)
    assert {name: own["error"] for name, own in there["hosts"].items()} == dict.fromkeys(HOSTS)
    assert all(own["worker"] for own in there["hosts"].values())
    assert any(block.startswith("run/") for own in there["hosts"].values() for block in own["blocks"])
    assert lab.answer("status", str(path))["running"]

    assert running.wait(120) == 0, control.said("run.log")
    assert following.wait(30) == 0
    assert "4 of 4 trials done" in control.said("follow.log")
    assert "It has ended." in control.said("follow.log")
    done = lab.answer("status", str(path))
    assert (done["ok"], done["running"]) == (4, False)
    assert {record.trial.host for record in Run(path).records()} == set(HOSTS)

    down = lab.type("cluster", "down", hosts)
    for name in HOSTS:
        assert f"{name}: its worker has ended" in down.stderr
        assert not (lab.hosts[name].cache / "cluster" / "certificates").exists()
        assert list((lab.hosts[name].cache / "cluster" / "spools").glob("*/*")) == []
    assert "the scheduler has ended" in down.stderr
    assert not list((lab.hosts[CONTROL].cache / "clusters").rglob("*.key"))
    until(lambda: not lab.processes(), 20, f"all processes end: {lab.processes()}")
    assert {name: host.mounts() for name, host in lab.hosts.items()} == before
    assert list(left_in_kernel(inventory)) == []

    lab.type("cluster", "down", hosts, "--purge")
    assert not (lab.hosts["alpha"].cache / "cluster").exists()
