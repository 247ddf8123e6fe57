# SPDX-License-Identifier: Apache-2.0
"""A laboratory: hosts on this machine, each with an address, processes, mounts, a name and a cache of its own.

A host is a set of namespaces that its first process holds. Their links meet at a bridge in one more network namespace.
Nothing of it has a name outside: the kernel removes all when the first processes end, and those are shot when the
test's process ends, however it does. What hosts share is the machine: kernel, CPUs, and the turn to measure, so that
one of them measures at a time.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.machine.command import SHOT_WITH_US

NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")

SHARED = ("images", "roots", "libraries", "kernels", "disks", "images.lock", "wheels")
"""What hosts see of the user's cache: nothing is built twice."""

BRIDGE = "lab0"

PERIOD_S = 0.1
"""How long a slow host's processes run and stand still, taken together."""

Process = subprocess.Popen[bytes]


@dataclass(eq=False)
class Host:
    """A host; its processes are those that have its network."""

    name: str
    address: str
    place: Path
    """Its directory: its cache, and what its processes print."""
    first: int
    """The id, outside, of its first process. When that is shot, all of the host are, and mounts and links are gone."""
    holder: int
    """The process that holds its namespaces, and is none of its own."""
    hub: int
    """The process of the network namespace that the links meet in."""
    started: list[Process] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        """Its cache directory, as seen from outside while the host is up."""
        return Path(f"/proc/{self.first}/root{self.place}/cache")

    def within(self, words: Sequence[str | Path]) -> list[str]:
        """Return the command that runs another on this host."""
        flags = ("--target", str(self.first), *NAMESPACES, f"--wdns={self.place}")
        return [*SHOT_WITH_US, "nsenter", *flags, "--", *map(str, words)]

    def start(self, *words: str | Path, log: str, env: Mapping[str, str] = {}) -> Process:
        """Start a process on this host, which appends what it prints to a file of the host's directory."""
        with (self.place / log).open("ab") as file:
            process = subprocess.Popen(
                self.within(words), stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, **env}
            )
        self.started.append(process)
        return process

    def run(self, *words: str | Path, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        """Run a process on this host to its end."""
        argv = self.within(words)
        return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **env})

    def said(self, log: str) -> str:
        """Return what a process of this host has printed."""
        path = self.place / log
        return path.read_text(errors="replace") if path.exists() else ""

    def processes(self) -> dict[int, str]:
        """Return the command lines of this host's processes by their ids outside, but for the first process.

        What runs in an image has a PID namespace of its own, in the host's.
        """
        mine, found = _namespace(self.first), {}
        for path in Path("/proc").glob("[0-9]*"):
            pid = int(path.name)
            if pid not in (self.first, self.holder) and mine and _namespace(pid) == mine and (line := _command(path)):
                found[pid] = line
        return found

    def shoot(self, part: str) -> list[int]:
        """Send SIGKILL to those processes of this host that have `part` on their command lines; return their ids."""
        shot = [pid for pid, line in self.processes().items() if part in line]
        for pid in shot:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return shot

    def mounts(self) -> set[str]:
        """Return what is mounted on this host."""
        return set(Path(f"/proc/{self.first}/mounts").read_text().splitlines())

    def cut(self) -> None:
        """Pull this host's cable: nobody is told."""
        _ip(self.hub, f"link set {self.name} down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip(self.hub, f"link set {self.name} up")

    def reboot(self) -> None:
        """Have all processes of this host end at once, as by a loss of power, and the kernel begin another boot."""
        while self.shoot(""):
            time.sleep(0.05)
        self._boot.write_text(f"{uuid.uuid4()}\n")

    @property
    def _boot(self) -> Path:
        """The file that it sees in the place of the kernel's id of the boot."""
        return self.place / "boot_id"

    @contextlib.contextmanager
    def slowed(self, times: float) -> Iterator[None]:
        """Have all processes of this host stand still but for one part in `times` of the time."""
        over = threading.Event()

        def tell(sign: signal.Signals) -> None:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)

        def stutter() -> None:
            while not over.is_set():
                tell(signal.SIGSTOP)
                time.sleep(PERIOD_S * (1 - 1 / times))
                tell(signal.SIGCONT)
                time.sleep(PERIOD_S / times)

        thread = threading.Thread(target=stutter)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            tell(signal.SIGCONT)


@contextlib.contextmanager
def laboratory(
    place: Path, names: Sequence[str], cache: Path, prepare: Callable[[Host], str] = lambda _: ""
) -> Iterator[dict[str, Host]]:
    """Have hosts, by name. The first has address 10.0.0.1, the next 10.0.0.2.

    Args:
        place: a directory; each host has its own there.
        names: of the hosts.
        cache: the user's cache, which each host sees its own in the place of.
        prepare: returns shell commands to run on a host before its first process: mounts, say.
    """
    with contextlib.ExitStack() as leaving:
        hub = leaving.enter_context(_namespaces("--net"))
        _ip(hub.pid, f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")
        hosts = {}
        for number, name in enumerate(names, 1):
            own = place / name
            (own / "cache").mkdir(parents=True)
            init = leaving.enter_context(_namespaces(*NAMESPACES, "--mount-proc"))
            hosts[name] = Host(name, f"10.0.0.{number}", own, _first(init.pid), init.pid, hub.pid)
            leaving.callback(_end, hosts[name])
            _furnish(hosts[name], cache, prepare(hosts[name]))
        yield hosts


@contextlib.contextmanager
def _namespaces(*kinds: str) -> Iterator[Process]:
    """Hold new namespaces. The process is the parent of their first one, if there is a PID namespace among them."""
    fork = ("--fork", "--kill-child") if "--pid" in kinds else ()
    argv = (*SHOT_WITH_US, "unshare", *kinds, *fork, "sh", "-c", "echo made; exec sleep infinity")
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"made\n"
            yield holder
        finally:
            holder.kill()


def _furnish(host: Host, cache: Path, further: str) -> None:
    """Give a host its name, link, boot and cache."""
    _ip(
        host.hub,
        f"link add {host.name} type veth peer name eth0 netns {host.first}",
        f"link set {host.name} master {BRIDGE} up",
    )
    host.reboot()
    commands = [
        f"hostname {host.name}",
        "ip link set lo up",
        f"ip address add {host.address}/24 dev eth0",
        "ip link set eth0 up",
        f"mount --bind {host.place}/boot_id /proc/sys/kernel/random/boot_id",
        further,
    ]
    for name in SHARED:
        if (shared := cache / name).exists():
            own = shlex.quote(str(host.place / "cache" / name))
            commands.append(f"{'mkdir' if shared.is_dir() else 'touch'} {own}")
            commands.append(f"mount --bind {shlex.quote(str(shared))} {own}")
    commands.append(f"mount --rbind {shlex.quote(str(host.place / 'cache'))} {shlex.quote(str(cache))}")
    done = host.run("sh", "-ec", "\n".join(commands))
    assert done.returncode == 0, done.stderr


def _end(host: Host) -> None:
    while host.shoot(""):
        time.sleep(0.05)
    for process in host.started:
        process.kill()
        process.wait()


def _ip(pid: int, *commands: str) -> None:
    """Run ip(8) in the network namespace of a process."""
    for words in commands:
        subprocess.run(["nsenter", "--target", str(pid), "--net", "ip", *words.split()], check=True)


def _first(holder: int) -> int:
    """Return the id, outside, of the first process of the namespaces that unshare(1) holds."""
    return int(Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0])


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")  # noqa: PTH115 - no path
    except OSError:
        return ""


def _command(process: Path) -> str:
    """Return a process's command line; nothing for one that has ended."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
