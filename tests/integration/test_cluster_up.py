# SPDX-License-Identifier: Apache-2.0
"""`cluster up`, `status` and `down` by real SSH: two sshd of our own on the loopback interface, each with a cache."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import processes
import pytest
from builders import make_executable, make_image
from sshd import keygen, known, server

from bpfbench.codec import to_json
from bpfbench.declare import hosts
from bpfbench.model import Sources
from bpfbench.testbed.image import image_key
from bpfbench.testbed.image.root import recipe_of, root_key

pytest.importorskip("asyncssh")
from bpfbench.cluster.ssh import PIECE, connected

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an sshd that lets root in is root's"),
    pytest.mark.skipif(shutil.which("sshd") is None, reason="no sshd: apt-get install openssh-server"),
    pytest.mark.beside,
]

WHEELS = Path("/var/cache/bpfbench/wheels")
"""What pip fetched for earlier tests."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Lab:
    """A controller, and two hosts that are this machine with caches of their own."""

    folder: Path
    ports: dict[str, int]
    scheduler: int

    @property
    def file(self) -> Path:
        return self.folder / "hosts.toml"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def cache(self, host: str) -> Path:
        return self.folder / host

    def write(self, **more: str) -> None:
        """Write the file of hosts."""
        extra = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
        text = (
            f'[cluster]\nname = "lab"\nlisten = "127.0.0.1"\nport = {self.scheduler}\n'
            f'identity_file = "key"\nknown_hosts = "known_hosts"\n{extra}'
        )
        for host, port in self.ports.items():
            text += f'[hosts.{host}]\naddress = "127.0.0.1"\nssh_port = {port}\ncache = "{self.cache(host)}"\n'
        self.file.write_text(text)

    def know(self) -> None:
        """Have the keys of the hosts known."""
        lines = (known(self.folder, host, f"[127.0.0.1]:{port}") for host, port in self.ports.items())
        self.known_hosts.write_text("".join(lines))

    def __call__(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run bpfbench cluster on the controller."""
        argv = [sys.executable, "-m", "bpfbench", "cluster", words[0], str(self.file), *words[1:]]
        env = {**os.environ, "BPFBENCH_CACHE": str(self.folder / "controller"), "HOME": str(self.folder)}
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
        assert ended.returncode == status, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended


@contextlib.contextmanager
def sshd(folder: Path, host: str, port: int) -> Iterator[None]:
    """A host's SSH server, of which the system's knows nothing."""
    argv = server(folder, host, "127.0.0.1", port)
    with (folder / f"{host}.log").open("w") as log:
        process = subprocess.Popen(argv, stderr=log)
    try:
        for _ in range(100):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def add_image(cache: Path) -> str:
    """Put a small image there, with the key of the real one; return that."""
    recipe = recipe_of("trixie")
    key = image_key(recipe, Sources())
    root = cache / "roots" / f"trixie-{root_key(recipe, Sources())}" / "root"
    make_executable(root / "usr" / "bin" / "fio")
    layer = cache / "images" / f"trixie-{key}"
    make_executable(layer / "tracers" / "libbpf" / "tracer")
    (layer / "image.json").write_text(to_json(make_image(key=key, root=str(root), tracers=str(layer / "tracers"))))
    return key


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    keygen(folder / "key")
    found = Lab(folder, {"alpha": free_port(), "beta": free_port()}, free_port())
    (folder / "controller").mkdir()
    WHEELS.mkdir(parents=True, exist_ok=True)
    (folder / "controller" / "wheels").symlink_to(WHEELS)
    with contextlib.ExitStack() as servers:
        for host, port in found.ports.items():
            servers.enter_context(sshd(folder, host, port))
        found.known_hosts.write_text("")
        found.write()
        yield found
        found("down", "--purge")


def living(lab: Lab) -> list[str]:
    """The processes that have to do with the lab, but for the servers."""
    lines = [" ".join(words) for words in processes.command_lines().values()]
    return [line for line in lines if str(lab.folder) in line and "sshd" not in line and "pytest" not in line]


def test_a_host_whose_key_is_not_known_is_not_talked_to(lab: Lab) -> None:
    add_image(lab.folder / "controller")
    said = lab("up", status=1).stderr
    shown = subprocess.run(
        ("ssh-keygen", "-lf", str(lab.folder / "alpha.key.pub")), capture_output=True, text=True, check=True
    )
    assert f"host alpha (127.0.0.1, port {lab.ports['alpha']}): its SSH key is not known here" in said
    assert shown.stdout.split()[1] in said
    assert f"ssh-keyscan -p {lab.ports['alpha']} 127.0.0.1 >> {lab.known_hosts}" in said
    assert not lab.cache("alpha").exists()


def test_a_host_with_another_key_is_not_talked_to(lab: Lab) -> None:
    lab.know()
    one, other = lab.known_hosts.read_text().splitlines()
    (alpha, *_), (_, *of_beta) = one.split(), other.split()
    lab.known_hosts.write_text(f"{' '.join((alpha, *of_beta))}\n{other}\n")
    said = lab("status", status=1).stderr
    assert "host alpha" in said
    assert "shows another SSH key than" in said
    assert f"-R '[127.0.0.1]:{lab.ports['alpha']}'" in said
    assert "host beta" not in said


def test_whom_a_host_does_not_let_in_is_told_what_to_do(lab: Lab) -> None:
    lab.know()
    keygen(lab.folder / "other")
    text = lab.file.read_text()
    lab.file.write_text(text.replace('identity_file = "key"', 'identity_file = "other"'))
    assert "ssh-copy-id" in lab("status", status=1).stderr
    lab.file.write_text(text)


@pytest.mark.parametrize("left", ["half", "damaged", "too much", "nothing"])
def test_what_broke_off_goes_on_and_what_is_damaged_begins_again(lab: Lab, left: str) -> None:
    lab.know()
    host = hosts.load(lab.file).hosts[0]
    local, remote = lab.folder / "file", lab.folder / "arrived"
    content = os.urandom(10 * PIECE + 17)
    local.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    there = {"half": content[: 5 * PIECE], "damaged": b"x" * PIECE, "too much": content + b"x", "nothing": b""}[left]
    Path(f"{remote}.{sha256[:16]}.partial").write_bytes(there)
    steps: list[int] = []

    async def send() -> None:
        async with connected(host) as shell:
            await shell.send(local, str(remote), sha256, lambda done, _: steps.append(done))

    asyncio.run(send())
    assert remote.read_bytes() == content
    assert (steps[0] == 6 * PIECE) == (left == "half")
    assert list(lab.folder.glob("*.partial")) == []


def test_a_scheduler_that_cannot_begin_is_told_of_with_its_reason(lab: Lab) -> None:
    lab.know()
    lab("down")
    add_image(lab.folder / "controller")
    with socket.create_server(("127.0.0.1", lab.scheduler)):
        said = lab("up", status=1).stderr
    assert f"the scheduler does not begin: tls://127.0.0.1:{lab.scheduler}: " in said
    assert "ddress already in use" in said


def test_up_brings_all_that_a_host_lacks_and_down_leaves_nothing_running(lab: Lab) -> None:
    lab.know()
    key = add_image(lab.folder / "controller")
    ended = lab("up", "--json")
    answer = json.loads(ended.stdout)["data"]
    assert sorted(answer["hosts"]) == ["alpha", "beta"]
    for host in ("alpha", "beta"):
        assert list(answer["hosts"][host]["images"]) == [key]
        assert answer["hosts"][host]["worker"]["name"] == host
        cache = lab.cache(host)
        assert (cache / "images" / f"trixie-{key}" / "tracers" / "libbpf" / "tracer").exists()
        assert not any((cache / "cluster" / "incoming").iterdir())
        certificates = cache / "cluster" / "certificates"
        assert certificates.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in certificates.iterdir()} == {"ca.pem", "node.pem", "node.key"}
        assert (certificates / "node.key").stat().st_mode & 0o777 == 0o600

    before = {host: answer["hosts"][host]["worker"]["pid"] for host in answer["hosts"]}
    again = lab("up", "--json")
    after = json.loads(again.stdout)["data"]["hosts"]
    assert {host: after[host]["worker"]["pid"] for host in after} == before
    assert "its worker was there" in again.stderr
    assert "the packages" not in again.stderr
    assert "the image" not in again.stderr

    os.kill(before["alpha"], 9)
    wait_until(lambda: json.loads(lab("status", "--json").stdout)["data"]["hosts"]["alpha"]["worker"] is None)
    third = json.loads(lab("up", "--json").stdout)["data"]["hosts"]
    assert third["alpha"]["worker"]["pid"] != before["alpha"]
    assert third["beta"]["worker"]["pid"] == before["beta"]

    said = lab("down").stderr
    assert "alpha: its worker has ended" in said
    assert living(lab) == []
    for host in ("alpha", "beta"):
        assert not (lab.cache(host) / "cluster" / "certificates").exists()
    assert not list((lab.folder / "controller").glob("clusters/lab/certificates/**/*.key"))
    assert "there was no worker" in lab("down").stderr
    lab("down", "--purge")
    assert not (lab.cache("alpha") / "cluster").exists()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.2)
