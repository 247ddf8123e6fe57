# SPDX-License-Identifier: Apache-2.0
"""The host testbed: an image's root entered in private namespaces on the running kernel."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.errors import MachineError
from bpfbench.machine import command, facts
from bpfbench.model import Attach, DrivenTarget, Setup, Workload
from bpfbench.soundness import exposed
from bpfbench.testbed import sandbox
from bpfbench.testbed.base import Ground, Testbed, Venue, data_name
from bpfbench.testbed.carried import BROUGHT
from bpfbench.testbed.image import Image
from bpfbench.testbed.job import Job
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

IN_FLIGHT = ".bpfbench-in-flight-"
"""What the output directory of a running trial begins with; whatever is named so and left is deleted."""

BYTECODE = "/run/bpfbench/bytecode"
"""Where Python keeps what it compiles inside an image; in memory, and soon gone, where nothing is bound there."""


class HostTestbed(Testbed):
    """Runs trials in an image on this machine's kernel, with the headers that BCC is to compile with."""

    def __init__(
        self,
        image: Image,
        headers: Headers,
        data_dir: Path,
        output_dir: Path,
        setups: Sequence[Setup] = (),
        targets: Sequence[DrivenTarget] = (),
    ) -> None:
        super().__init__(image, data_dir, output_dir, setups, targets)
        self._headers = headers

    @property
    def hooks(self) -> frozenset[Attach]:
        """The running kernel's."""
        return facts.hooks()

    @property
    def facts(self) -> dict[str, Any]:
        """This machine's, and what BCC compiles with."""
        return {**facts.gather(), "headers_for_bcc": self._headers.origin}

    def data_files(self, workloads: Iterable[Workload]) -> Iterable[Path]:
        """Return fio's own."""
        names = (data_name(workload) for workload in workloads if workload.is_fio)
        return (path for name in names for path in (self.data_dir / name).glob("fio.*"))

    def inside(self, job: Job, on_line: Callable[[str], None]) -> command.Finished:
        """Run a command in the image to its end."""
        binds = list(self._bytecode())
        if job.data:
            directory = self.data_dir / job.data
            directory.mkdir(parents=True, exist_ok=True)
            if directory.is_symlink():
                raise MachineError(f"{directory}: is a link", "remove it, or choose another directory: --data-dir")
            _require_unexposed(directory, "--data-dir")
            binds.append(Bind(str(directory), f"{INSIDE}/data", writable=True))
        if job.record_dir:
            binds.append(Bind(str(job.record_dir), f"{INSIDE}/record", writable=True))
        with self._output(job) as output_dir:
            if output_dir:
                binds.append(Bind(output_dir, f"{INSIDE}/output", writable=True))
                if job.record_dir:
                    command.LOG.debug("%s", shlex.join(("mkdir", "-p", str(job.record_dir))))
            seen = replace(self.sandbox(tuple(binds)), own_network=job.own_network)
            argv = sandbox.argv(seen, job.argv, remove_if_killed=output_dir)
            return command.run(argv, stdin=job.stdin, on_line=on_line, timeout_s=job.timeout_s, hold=job.hold)

    def _bytecode(self) -> Iterator[Bind]:
        """Yield where the image's Python keeps what it has compiled of ours: beside the image's root, and gone with it.

        To compile it again would take longer than all else that a trial does to start.
        """
        root = Path(self.image.root)
        if root.is_dir() and os.access(root.parent, os.W_OK):
            bytecode = root.parent / "bytecode"
            bytecode.mkdir(exist_ok=True)
            yield Bind(str(bytecode), BYTECODE, writable=True)

    @contextlib.contextmanager
    def _output(self, job: Job) -> Iterator[str]:
        """Name the directory of a job's output, if any, which `supervise` makes; kept, or deleted in the end."""
        if job.output is None:
            yield ""
            return
        output_dir = self.output_dir / f"{IN_FLIGHT}{os.getpid()}-{job.output}"
        self.output_dir.mkdir(parents=True, exist_ok=True)
        _require_unexposed(self.output_dir, "--output-dir")
        try:
            yield str(output_dir)
        finally:
            if job.keep_output_as and output_dir.exists():
                output_dir.rename(self.output_dir / job.keep_output_as)
            else:
                shutil.rmtree(output_dir, ignore_errors=True)

    def discard_outputs(self) -> None:
        """Delete the output of trials that ended with the machine, an end that nothing of ours survives to see."""
        for path in self.output_dir.glob(f"{IN_FLIGHT}*"):
            shutil.rmtree(path, ignore_errors=True)

    def shell(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that opens a shell (or runs `words`) in the image, as a trial would see it."""
        return sandbox.argv(self.sandbox(()), words or ("bash",))[len(command.KILLED_WITH_US) :]

    def sandbox(self, binds: tuple[Bind, ...]) -> Sandbox:
        """Return the inside of the image as a trial sees it, with `binds` besides."""
        return Sandbox(
            root=self.image.root,
            binds=(
                Bind(str(catalogue.PACKAGE), f"{INSIDE}/src/bpfbench"),
                Bind(self.image.tracers, f"{INSIDE}/tracers"),
                *(Bind(str(folder), f"{BROUGHT}/{name}") for name, folder in self.carried.folders.items()),
                *self._headers.binds,
                *binds,
            ),
            symlinks=self._headers.symlinks,
            env={"PYTHONPATH": f"{INSIDE}/src", "PYTHONPYCACHEPREFIX": BYTECODE},
        )


@dataclass(frozen=True, slots=True)
class Headers:
    """The kernel headers BCC compiles with, and how they get into the image."""

    origin: str
    """What to call them in records."""
    binds: tuple[Bind, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()


def kernel_headers(image: Image, host: Path, release: str, unpacked: Path | None) -> Headers:
    """Choose the kernel headers nearest to the running kernel.

    Args:
        image: has the nearest headers of its suite.
        host: the host's root directory.
        release: of the running kernel, as uname -r has it.
        unpacked: the running kernel's own (kheaders), where it carries them.
    """
    modules = f"/usr/lib/modules/{release}"
    build, source = (host / "lib/modules" / release / name for name in ("build", "source"))
    if build.is_dir():
        # Debian's are symlinks into /usr/src, which refer to each other; of a kernel of one's own, anywhere.
        own = [Bind(str(path.resolve()), f"{modules}/{path.name}") for path in (build, source) if path.is_dir()]
        return Headers(f"the host's own, {release}", (Bind("/usr/src", "/usr/src"), *own))
    if unpacked is not None:
        return Headers(f"the running kernel's kheaders, {release}", (Bind(str(unpacked), f"{modules}/build"),))
    arch = image.kernel_headers.rsplit("-", 1)[1]
    nearest = f"/usr/src/linux-headers-{image.kernel_headers}"
    common = f"{nearest.removesuffix(f'-{arch}')}-common"
    links = ((nearest, f"{modules}/build"), (common, f"{modules}/source"))
    return Headers(f"the image's nearest, {image.kernel_headers}, for kernel {release}", (), links)


def unpack_kheaders(archive: Path, cache: Path, release: str) -> Path | None:
    """Unpack the headers a kernel carries (CONFIG_IKHEADERS) into the cache, once; None where it carries none.

    Raises:
        MachineError: they cannot be unpacked.
    """
    if not archive.exists():
        return None
    folder = cache / "kheaders" / release
    if not folder.exists():
        partial = folder.with_name(f"{release}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        finished = command.run(("tar", "-C", str(partial), "-xf", str(archive)))
        if finished.status != 0:
            raise MachineError(f"{archive} cannot be unpacked: {finished.last_words}", "apt-get install xz-utils")
        partial.rename(folder)
    return folder


def headers_here(image: Image, cache: Path) -> Headers:
    """Choose, and unpack if need be, the kernel headers for this machine.

    Raises:
        MachineError: the kernel carries headers that cannot be unpacked.
    """
    release = platform.release()
    unpacked = unpack_kheaders(Path("/sys/kernel/kheaders.tar.xz"), cache, release)
    return kernel_headers(image, Path("/"), release, unpacked)


def require(euid: int, missing: Iterator[str]) -> None:
    """Raise for the first thing this machine lacks.

    Raises:
        MachineError: with what to do about it.
    """
    if euid != 0:
        raise MachineError("measuring on this machine's kernel needs root", "run the same command with sudo")
    for lack in missing:
        raise MachineError(lack, "`bpfbench doctor` lists everything that is missing, and how to get it")


def _require_unexposed(directory: Path, option: str) -> None:
    """Refuse, once it is made, a directory that others could put links into: from now on they cannot."""
    if reason := exposed(directory):
        raise MachineError(reason, f"choose another directory: {option}")


def _testbed(ground: Ground) -> HostTestbed:
    headers = headers_here(ground.image, ground.cache)
    study = ground.study
    return HostTestbed(ground.image, headers, ground.data_dir, ground.output_dir, study.setups, study.targets)


VENUE = Venue(lambda: require(os.geteuid(), facts.missing()), lambda: facts.hooks(), _testbed)
