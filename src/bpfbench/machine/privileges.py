# SPDX-License-Identifier: Apache-2.0
"""Privileges, without root: images are built and entered in a user namespace, in which an ordinary user is root.

There the user's own id is that of root, and the ids that /etc/subuid and /etc/subgid lend to the user are those of
everybody else, so that files in an image have the owners they should have.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path

from bpfbench.errors import MachineError
from bpfbench.inside.kernel.files import text_if_any
from bpfbench.machine import command, facts
from bpfbench.machine.facts import Diagnosis, lacking, lacks, ok

NAMESPACES = "user namespaces"

IDS = 65535
"""How many user and group ids must be lent: those of a Debian root, up to nobody's and nogroup's, but root's."""


def unshare(*options: str, euid: int | None = None) -> tuple[str, ...]:
    """Return the prefix that runs a command as root in namespaces of its own.

    The options are those of unshare. User ids have a namespace, too, unless root runs it; without `euid`, we do.
    """
    root = (os.geteuid() if euid is None else euid) == 0
    return ("unshare", *(() if root else ("--user", "--map-root-user", "--map-auto")), *options)


def as_root(euid: int | None = None) -> tuple[str, ...]:
    """Return the prefix that lets a command handle the files of images as their owner; root needs none."""
    prefix = unshare(euid=euid)
    return (*prefix, "--") if len(prefix) > 1 else ()


def require(packages: Mapping[str, str] = facts.PACKAGES) -> None:
    """Refuse to go on where images cannot be entered, or built.

    Args:
        packages: the commands that it takes, with Debian's package that has each.

    Raises:
        MachineError: says what is missing, and what to do.
    """
    for lack in lacks(facts.commands(packages)):
        raise MachineError(f"{lack.what} is {lack.found}", lack.advice)
    for lack in lacks([namespaces()]):
        raise MachineError(f"without root, images need user namespaces: {lack.found}", lack.advice)


def namespaces() -> Diagnosis:
    """Say whether images can be built and entered; by a user who is not root, it takes user namespaces."""
    if os.geteuid() == 0:
        return ok(NAMESPACES, "not needed by root")
    finished = command.run((*unshare("--mount"), "--", "true"))
    if finished.status == 0:
        return ok(NAMESPACES, "an ordinary user can build and boot images")
    user = pwd.getpwuid(os.getuid()).pw_name
    unknown = lacking(NAMESPACES, finished.last_words, "use sudo")
    return next(reasons(Path("/"), user, os.getuid()), unknown)


def reasons(root: Path, user: str, uid: int) -> Iterator[Diagnosis]:
    """Yield what may be the reason that an ordinary user has no user namespaces, most probable first."""
    sysctls = (
        ("user.max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"),
        ("kernel.unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    )
    for name, forbids, advice in sysctls:
        if text_if_any(root / "proc/sys" / name.replace(".", "/")) == forbids:
            yield lacking(NAMESPACES, f"{name} is {forbids}", advice)
    if not any((root / folder / "newuidmap").exists() for folder in ("usr/bin", "usr/sbin", "usr/local/bin")):
        yield lacking(NAMESPACES, "newuidmap is not installed", "apt-get install uidmap")
    for name, option in (("subuid", "--add-subuids"), ("subgid", "--add-subgids")):
        lent = lent_ids(text_if_any(root / "etc" / name) or "", user, uid)
        if lent < IDS:
            advice = f"sudo usermod {option} 100000-165535 {user} (any {IDS + 1} ids that nobody else has)"
            yield lacking(NAMESPACES, f"/etc/{name} lends {user} {lent} ids in a row, and {IDS} are needed", advice)


def lent_ids(text: str, user: str, uid: int) -> int:
    """Return how many ids /etc/subuid or /etc/subgid, whose text is given, lends a user in one range."""
    lines = (line.split(":") for line in text.splitlines())
    return max((int(words[2]) for words in lines if len(words) == 3 and words[0] in (user, str(uid))), default=0)
