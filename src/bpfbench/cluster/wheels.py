# SPDX-License-Identifier: Apache-2.0
"""The packages that hosts run bpfbench with: those of requirements.lock, as wheels for each host's Python, by pip.

They are fetched by this machine, once, and sent: hosts need no registry, no pip and no compiler.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from bpfbench import catalogue
from bpfbench.errors import MachineError
from bpfbench.machine import command

LOCK = catalogue.PACKAGE / "cluster" / "requirements.lock"
GLIBC_FIRST = 5
"""The oldest glibc 2.x that a manylinux tag is for."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, and what it runs on."""

    version: str
    machine: str
    glibc: str
    """Its version, such as 2.36."""

    @property
    def tag(self) -> str:
        """What wheels are called that are made for it alone, and for what."""
        return f"cp{''.join(self.version.split('.')[:2])}-{self.machine}-{self.glibc}"

    @property
    def options(self) -> tuple[str, ...]:
        """Have pip choose for it instead of for us."""
        major, minor = self.version.split(".")[:2]
        newest = Version(self.glibc).minor
        platforms = [f"manylinux_2_{number}_{self.machine}" for number in range(newest, GLIBC_FIRST - 1, -1)]
        platforms += [f"{old}_{self.machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
        return (
            f"--python-version={major}.{minor}",
            "--implementation=cp",
            *(f"--abi={abi}" for abi in (f"cp{major}{minor}", "abi3", "none")),
            *(f"--platform={name}" for name in platforms),
        )


def interpreter(facts: Mapping[str, object]) -> Interpreter:
    """Return the Python of a host, by what remote.py says of it.

    Raises:
        ValueError: there are no wheels for it; says why.
    """
    libc = facts["libc"]
    version, implementation = str(facts["version"]), facts["implementation"]
    if implementation != "CPython" or not re.fullmatch(r"3\.\d+\.\d+\S*", version):
        raise ValueError(f"its Python is {implementation} {version}; CPython 3.11 or newer is needed")
    if not isinstance(libc, list) or len(libc) != 2 or libc[0] != "glibc" or not re.fullmatch(r"2\.\d+", str(libc[1])):
        raise ValueError(f"its C library is {libc}; packages are made for glibc")
    return Interpreter(version, str(facts["machine"]), str(libc[1]))


def key(python: Interpreter) -> str:
    """Return the name of the directory of a host's packages."""
    return f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}-{python.tag}"


def fetched(cache: Path, python: Interpreter) -> tuple[Path, ...]:
    """Return the wheels for a Python, downloading them unless they are in the cache.

    Raises:
        MachineError: they cannot be had; has pip's last words.
    """
    folder = cache / "wheels" / key(python)
    if not folder.exists():
        if importlib.util.find_spec("pip") is None:
            raise MachineError("pip, which fetches packages for hosts, is not here", f"{sys.executable} -m ensurepip")
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "requirements.txt").write_text(pinned(LOCK.read_text(), python))
        argv = (
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", f"--dest={partial}", *python.options),
            *("-r", str(partial / "requirements.txt")),
        )
        finished = command.run(argv)
        if finished.status != 0:
            raise MachineError(
                f"pip could not download the packages for Python {python.version}, {python.machine}: "
                f"{finished.last_words}",
                "pip's own settings count: PIP_INDEX_URL, PIP_FIND_LINKS, pip.conf",
            )
        partial.rename(folder)
    return tuple(sorted(folder.glob("*.whl")))


def pinned(lock: str, python: Interpreter) -> str:
    """Return the lines of a lock file that count for a Python, with no condition any more: pip would ask our own."""
    environment = {
        "python_version": ".".join(python.version.split(".")[:2]),
        "python_full_version": python.version,
        "platform_machine": python.machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    found = []
    for item in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        named, *hashes = (line.strip().removesuffix("\\").strip() for line in item.strip().splitlines())
        requirement = Requirement(named)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found.append(" ".join((f"{requirement.name}{requirement.specifier}", *hashes)))
    return "\n".join(found) + "\n"
