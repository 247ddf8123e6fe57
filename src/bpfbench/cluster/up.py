# SPDX-License-Identifier: Apache-2.0
"""A cluster brought up and taken down: its scheduler on this machine, and on each host, by SSH, all that it takes.

    CACHE/clusters/NAME/certificates/           certificates.py; 0700
    CACHE/clusters/NAME/scheduler.{lock,json,log}
    CACHE/{wheels,archives}/                    what is sent to hosts

On a host, below its cache:

    CACHE/cluster/code/DIGEST/bpfbench/         our own code, as it is here
    CACHE/cluster/packages/KEY/                 what it needs, for that host's Python
    CACHE/cluster/certificates/                 0700
    CACHE/cluster/worker.{lock,log}             node.py
    CACHE/cluster/incoming/                     what is on its way
    CACHE/cluster/spools/                       spool.py

All of it is idempotent: what is there is left alone, and what broke off goes on.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import tarfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.cluster import certificates, code, guard, node, remote, settings, wheels
from bpfbench.cluster.certificates import CONTROLLER, Issued
from bpfbench.cluster.client import Cluster
from bpfbench.cluster.connection import Connection
from bpfbench.cluster.ssh import HostError, Sent, Shell, connected, sha256_of
from bpfbench.cluster.wheels import Interpreter
from bpfbench.declare.hosts import Hosts, RemoteHost
from bpfbench.errors import BpfbenchError, MachineError
from bpfbench.machine import service
from bpfbench.machine.facts import BUILDING
from bpfbench.run import images
from bpfbench.run.stage import Means
from bpfbench.testbed.image import Image
from bpfbench.units import gib

BEGIN_S = 30.0
"""How long a scheduler or worker may take to begin."""
FREE_BYTES = 6 * 2**30
"""What an image takes on a host, on its way and unpacked, with room for data files."""
FIND_PYTHON = (
    "for found in python3 python3.14 python3.13 python3.12 python3.11; do command -v $found >/dev/null && "
    "$found -c 'import sys; sys.exit(sys.version_info < (3, 11))' && exec echo $found; done; "
    "echo 'Python 3.11 or newer is not installed (apt-get install python3)' >&2; exit 3"
)

Tell = Callable[[str], None]
"""Told of a step, in a line."""


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """How it went on a host."""

    host: RemoteHost
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is there, where it went well."""
    error: BpfbenchError | None = None


class Brought:
    """What all hosts are to have, each made here when the first of them lacks it."""

    def __init__(self, hosts: Hosts, means: Means, image: Image, issued: Issued) -> None:
        self.image = image
        self.issued = issued
        self._hosts = hosts
        self._means = means
        self._one = asyncio.Lock()
        self._archive: tuple[Path, str] | None = None

    async def wheels(self, python: Interpreter) -> tuple[Path, ...]:
        """Return the packages for a Python."""
        async with self._one:
            return await asyncio.to_thread(wheels.fetched, self._means.cache, python)

    async def archive(self) -> tuple[Path, str]:
        """Return the image as a file, and its SHA-256."""
        async with self._one:
            if self._archive is None:
                path = await asyncio.to_thread(images.archived, self._hosts.image, self._hosts.kernels, self._means)
                self._archive = path, await asyncio.to_thread(sha256_of, path)
            return self._archive


def folder(cache: Path, hosts: Hosts) -> Path:
    """Return where a cluster's own things are on this machine."""
    return cache / "clusters" / hosts.name


def connection(cache: Path, hosts: Hosts) -> Connection:
    """Return what reaches a cluster that is up.

    Raises:
        MachineError: it is not, or its certificates are not good any more.
    """
    at = folder(cache, hosts)
    if not (at / "certificates" / CONTROLLER).is_dir() or service.running(at / "scheduler.lock") is None:
        raise MachineError(f"cluster {hosts.name} is not up", f"bpfbench cluster up {hosts.where}")
    return Connection(hosts.scheduler, at / "certificates" / CONTROLLER)


def scheduler(cache: Path, hosts: Hosts) -> dict[str, Any] | None:
    """Return where a cluster's scheduler is, with its process and Dask's own pages; None: it does not run."""
    state = folder(cache, hosts)
    if service.running(state / "scheduler.lock") is None:
        return None
    try:
        found = json.loads((state / "scheduler.json").read_bytes())
    except (OSError, ValueError):
        return None
    return {"address": hosts.scheduler, "pid": found.get("pid"), "dashboard": found.get("dashboard")}


def up(hosts: Hosts, means: Means, tell: Tell) -> tuple[HostOutcome, ...]:
    """Bring a cluster up, all hosts side by side.

    Raises:
        BpfbenchError: this machine cannot do its part.
    """
    state = folder(means.cache, hosts)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    state.chmod(0o700)
    built = images.build(hosts.image, hosts.kernels, means)
    issued = certificates.issue(
        state / "certificates", hosts.name, (CONTROLLER, *(host.name for host in hosts.hosts)), hosts.certificate_days
    )
    begin_scheduler(hosts, means.cache, issued, tell)
    brought = Brought(hosts, means, built.image, issued)
    outcomes = asyncio.run(
        _each(hosts, lambda host: _up(host, hosts, brought, lambda line: tell(f"{host.name}: {line}")))
    )
    there = _present(connection(means.cache, hosts), {own.host.name for own in outcomes if own.error is None})
    return tuple(own if own.error or own.host.name in there else _unheard(own.host, hosts) for own in outcomes)


def down(hosts: Hosts, cache: Path, tell: Tell, *, purge: bool) -> tuple[HostOutcome, ...]:
    """End workers, blocks and scheduler, and delete the certificates; with `purge`, all that was brought but images."""
    outcomes = asyncio.run(_each(hosts, lambda host: _down(host, purge=purge)))
    if service.end(folder(cache, hosts) / "scheduler.lock"):
        tell("the scheduler has ended")
    certificates.discard(folder(cache, hosts) / "certificates")
    return outcomes


def status(hosts: Hosts) -> tuple[HostOutcome, ...]:
    """Ask each host what there is."""
    return asyncio.run(_each(hosts, _state))


def begin_scheduler(hosts: Hosts, cache: Path, issued: Issued, tell: Tell) -> None:
    """Have the scheduler of a cluster on this machine.

    Raises:
        MachineError: it does not begin; has its last words.
    """
    state = folder(cache, hosts)
    lock, log, said = (state / f"scheduler.{suffix}" for suffix in ("lock", "log", "json"))
    about = {"address": hosts.scheduler, "code": code.digest(), "mark": _mark(issued)}
    there = service.running(lock)
    if there is not None and there.about == about:
        return
    service.end(lock)
    said.unlink(missing_ok=True)
    argv = (
        *(sys.executable, "-m", "bpfbench", "cluster", "scheduler", "--listen", hosts.listen),
        *("--port", str(hosts.port), "--certificates", str(issued.of(CONTROLLER)), "--said", str(said)),
    )
    service.begin(lock, argv, log, about, node.environment(cache))
    until_s = time.monotonic() + BEGIN_S
    while not said.exists():
        if service.running(lock) is None or time.monotonic() > until_s:
            service.end(lock)
            words = (log.read_text(errors="replace").strip().splitlines() or ["it says nothing"])[-1]
            raise MachineError(f"the scheduler does not begin: {words.removeprefix('bpfbench: ')}", f"its log: {log}")
        time.sleep(0.05)
    tell(f"the scheduler is at {hosts.scheduler}")


def _present(reached: Connection, wanted: set[str]) -> frozenset[str]:
    """Wait for workers to be known to the scheduler; return who is."""
    guard.only(guard.NOTHING)
    with Cluster(reached) as cluster:
        until_s = time.monotonic() + BEGIN_S
        while not wanted <= set(cluster.present()) and time.monotonic() < until_s:
            time.sleep(0.2)
        return frozenset(cluster.present())


def _unheard(host: RemoteHost, hosts: Hosts) -> HostOutcome:
    """Return the outcome of a host whose worker does not reach the scheduler."""
    error = HostError(
        f"host {host.where}: its worker does not reach the scheduler at {hosts.scheduler}",
        f"is port {hosts.port} of this machine open to it? What it says: {host.cache}/cluster/worker.log, there",
    )
    return HostOutcome(host, error=error)


async def _each(
    hosts: Hosts, do: Callable[[RemoteHost], Coroutine[Any, Any, dict[str, Any]]]
) -> tuple[HostOutcome, ...]:
    async def one(host: RemoteHost) -> HostOutcome:
        try:
            return HostOutcome(host, await do(host))
        except BpfbenchError as error:
            return HostOutcome(host, error=error)

    return tuple(await asyncio.gather(*map(one, hosts.hosts)))


@dataclass(frozen=True, slots=True)
class _There:
    """bpfbench on a host."""

    shell: Shell
    python: str
    code: str
    """Which; ours, but for a host that has another yet."""
    packages: str

    async def bpfbench(self, *words: str, accepted: Sequence[int] = (0,), timeout_s: float = 600.0) -> str:
        """Run a verb there, in the code that is there already; return what it prints."""
        cache = self.shell.host.cache
        path = f"{cache}/cluster/code/{self.code}:{cache}/cluster/packages/{self.packages}"
        own = ("env", f"PYTHONPATH={path}", f"BPFBENCH_CACHE={cache}", self.python, "-m", "bpfbench")
        return await self.shell.run((*own, *words), accepted=accepted, timeout_s=timeout_s)

    async def node(self, *words: str) -> dict[str, Any]:
        """Ask node.py there."""
        return _json_of(self.shell.host, await self.bpfbench("cluster", "node", *words))


async def _up(host: RemoteHost, hosts: Hosts, brought: Brought, tell: Tell) -> dict[str, Any]:
    async with connected(host) as shell:
        there, facts = await _reach(shell)
        if told := settings.clock(facts["time"]):
            tell(told)
        await _bring_packages(there, facts, brought, tell)
        await _bring_code(there, facts, tell)
        await _examine(there, hosts.below)
        state = await there.node("state")
        if state["code"] != code.digest():
            raise HostError(f"host {host.where}: bpfbench {state['code']} arrived, not {code.digest()}")
        kernels, parts = (state[own].get(brought.image.key) for own in ("images", "parts"))
        if kernels is None or set(hosts.kernels) - set(kernels) or set(brought.image.parts) - set(parts):
            await _bring_image(there, facts, brought, tell)
        await _bring_certificates(shell, brought.issued)
        own = f"{host.cache}/cluster/certificates"
        state = await there.node(
            *("begin", "--scheduler", hosts.scheduler, "--name", host.name),
            *("--certificates", own, "--mark", _mark(brought.issued)),
        )
        tell("its worker has begun" if state["begun"] else "its worker was there")
        return state


async def _down(host: RemoteHost, *, purge: bool) -> dict[str, Any]:
    async with connected(host) as shell:
        there, facts = await _reach(shell)
        old = _as_it_is(there, facts)
        ended = await old.node("end") if old else {"worker": False, "blocks": 0}
        ours = f"{host.cache}/cluster"
        await shell.run(("rm", "-rf", "--", f"{ours}/certificates", f"{ours}/incoming"))
        if purge:
            await _remotely(shell, there.python, "purge", host.cache)
        return ended


async def _state(host: RemoteHost) -> dict[str, Any]:
    async with connected(host) as shell:
        old = _as_it_is(*await _reach(shell))
        return await old.node("state") if old else {"code": None, "worker": None, "images": {}, "blocks": []}


def _as_it_is(there: _There, facts: Mapping[str, Any]) -> _There | None:
    """Return what is on a host, be it of another version; None: nothing is."""
    have_code, have_packages = facts["code"], facts["packages"]
    if not have_code or not have_packages:
        return None
    return replace(
        there,
        code=there.code if there.code in have_code else have_code[-1],
        packages=there.packages if there.packages in have_packages else have_packages[-1],
    )


async def _reach(shell: Shell) -> tuple[_There, dict[str, Any]]:
    """Find a Python there, and what else there is."""
    host = shell.host
    python = (await shell.run(("sh", "-c", FIND_PYTHON))).strip()
    facts = _json_of(host, await _remotely(shell, python, "probe", host.cache))
    try:
        packages = wheels.key(wheels.interpreter(facts))
    except (KeyError, ValueError) as error:
        raise HostError(f"host {host.where}: {error}") from None
    return _There(shell, python, code.digest(), packages), facts


async def _bring_packages(there: _There, facts: Mapping[str, Any], brought: Brought, tell: Tell) -> None:
    if there.packages in facts["packages"]:
        return
    tell("the packages it needs")
    found = await brought.wheels(wheels.interpreter(facts))
    ours = f"{there.shell.host.cache}/cluster"
    for wheel in found:
        if facts["incoming"].get(wheel.name) != wheel.stat().st_size:
            await there.shell.send(wheel, f"{ours}/incoming/{wheel.name}", sha256_of(wheel))
    await _remotely(
        there.shell, there.python, "install", f"{ours}/packages/{there.packages}", *(wheel.name for wheel in found)
    )


async def _bring_code(there: _There, facts: Mapping[str, Any], tell: Tell) -> None:
    if code.digest() in facts["code"]:
        return
    tell(f"bpfbench {code.digest()}")
    script = 'cd "$1" && rm -rf .partial && mkdir .partial && base64 -d | tar -C .partial -xzf - && mv -T .partial "$2"'
    at = f"{there.shell.host.cache}/cluster/code"
    await there.shell.run(("sh", "-c", script, "sh", at, code.digest()), stdin=_own_code())


async def _examine(there: _There, below: str) -> None:
    """Have the doctor look at a host.

    Raises:
        HostError: nothing can be measured there; says what is missing, and what to do.
    """
    host = there.shell.host
    found = _json_of(host, await there.bpfbench("doctor", "--testbed", below, "--json", accepted=(0, 1)))
    lacks = [
        f"{own.get('what')}: {own.get('found')} ({own.get('advice')})"
        for own in found.get("data", {}).get("findings", ())
        if own.get("verdict") == "missing" and own.get("what") not in BUILDING  # it gets an image that is built
    ]
    if lacks:
        raise HostError(f"host {host.where} cannot measure: {'; '.join(lacks)}", "mend that there; see also its doctor")


async def _bring_image(there: _There, facts: Mapping[str, Any], brought: Brought, tell: Tell) -> None:
    host = there.shell.host
    if facts["free_bytes"] < FREE_BYTES:
        raise HostError(
            f"host {host.where}: {gib(facts['free_bytes'])} are free at {host.cache}, and the image takes "
            f"{gib(FREE_BYTES)}, with what is measured",
            "make room there, or say cache = in the file of hosts",
        )
    path, sha256 = await brought.archive()
    incoming = f"{host.cache}/cluster/incoming/{path.name}"
    tell(f"the image, {gib(path.stat().st_size)}")
    await there.shell.send(path, incoming, sha256, _quarters(lambda share: tell(f"the image, {share} %")))
    await there.bpfbench("image", "import", incoming, "--json", timeout_s=3600)
    await there.shell.run(("rm", "-f", "--", incoming))


async def _bring_certificates(shell: Shell, issued: Issued) -> None:
    """Send a host its own key and certificate, where nobody else can read them."""
    to = f"{shell.host.cache}/cluster/certificates"
    await shell.run(("sh", "-c", 'rm -rf "$1.partial" && mkdir -m 700 "$1.partial"', "sh", to))
    for name in (certificates.CA, certificates.CERTIFICATE, certificates.KEY):
        content = (issued.of(shell.host.name) / name).read_text()
        await shell.run(("sh", "-c", 'umask 077 && cat > "$1"', "sh", f"{to}.partial/{name}"), stdin=content)
    await shell.run(("sh", "-c", 'rm -rf "$1" && mv -T "$1.partial" "$1"', "sh", to))


async def _remotely(shell: Shell, python: str, *words: str) -> str:
    """Run remote.py there."""
    return await shell.run((python, "-", *words), stdin=Path(remote.__file__).read_text(), timeout_s=1800)


def _quarters(tell: Callable[[int], None]) -> Sent:
    """Return what tells of every quarter of the way, once."""
    told = {0}

    def sent(done: int, total: int) -> None:
        share = 100 if not total else 100 * done // total // 25 * 25
        if share not in told:
            told.add(share)
            tell(share)

    return sent


def _own_code() -> str:
    """Return our own code as a tar archive, in Base64: what is compiled of it is left out, as in its digest."""
    held = io.BytesIO()

    def ours(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if "__pycache__" in member.name.split("/") else member

    with tarfile.open(fileobj=held, mode="w:gz") as made:
        made.add(catalogue.PACKAGE, "bpfbench", filter=ours)
    return base64.encodebytes(held.getvalue()).decode()


def _mark(issued: Issued) -> str:
    """Return what is other when certificates are."""
    return sha256_of(issued.of(CONTROLLER) / certificates.CA)[:16]


def _json_of(host: RemoteHost, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HostError(f"host {host.where}: it answers {text.strip()[:200]!r}", "does a shell's start-up file print?")
    return found
