# SPDX-License-Identifier: Apache-2.0
"""Building an image, as root and as an ordinary user that there is for the tests only, who is lent a range of ids."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest

from bpfbench.machine.privileges import as_root
from bpfbench.model import Sources
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.boot import ROOT, SCRIPTS
from bpfbench.testbed.image.root import bootstrap_argv, recipe_of
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox, building

pytestmark = [
    pytest.mark.beside,
    pytest.mark.skipif(os.geteuid() != 0, reason="to mount, and to become an ordinary user, takes root"),
]

PARENT = ("sh", "-c", 'setsid "$@" & wait', "sh")
"""What stands for bpfbench; command.run gives a process a session of its own, too."""

USER, LENT = 41234, 412340000
"""The user's id, and the first of those that are lent to the user."""

BECOME = f"""
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/lent" /etc/subuid && mount --bind "$1/lent" /etc/subgid || exit
shift
exec setpriv --reuid {USER} --regid {USER} --clear-groups -- "$@"
"""
"""In a mount namespace of its own: makes us a user of whom the machine does not know."""


def running(argv: tuple[str, ...]) -> list[int]:
    """Return the ids of the processes that have exactly this command line."""
    return [pid for pid, words in processes.command_lines().items() if words == argv]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition, and tell whether it came true in time."""
    until_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def sleep() -> Iterator[tuple[str, ...]]:
    """A command that no other process has; none is left after the test, whatever comes of it."""
    words = ("sleep", f"{40_000_000 + os.getpid()}.{time.monotonic_ns() % 10**9}")
    yield words
    for pid in running(words):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, USER, USER)
        yield Path(folder)


@pytest.fixture
def user(tmp_path: Path) -> tuple[str, ...]:
    """Prefix that runs a command as the user."""
    (tmp_path / "passwd").write_text(f"{Path('/etc/passwd').read_text()}ordinary:x:{USER}:{USER}::/:/bin/sh\n")
    (tmp_path / "lent").write_text(f"ordinary:{LENT}:65536\n")
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", BECOME, "sh", str(tmp_path))


class TestKilled:
    """Nothing outlives a bpfbench that is killed. The prefixes are run for real, around a harmless command."""

    def test_a_bootstrap(self, sleep: tuple[str, ...]) -> None:
        self.check(bootstrap_prefix(euid=0), sleep)

    def test_a_bootstrap_without_root(self, user: tuple[str, ...], sleep: tuple[str, ...]) -> None:
        self.check(bootstrap_prefix(euid=USER), sleep, user)

    @pytest.mark.parametrize("euid", [0, USER])
    def test_a_build_in_an_image(self, user: tuple[str, ...], sleep: tuple[str, ...], trixie: Image, euid: int) -> None:
        self.check(building(Sandbox(trixie.root), (), euid=euid), sleep, user if euid else ())

    def check(self, prefix: tuple[str, ...], sleep: tuple[str, ...], become: tuple[str, ...] = ()) -> None:
        with subprocess.Popen((*become, *PARENT, *prefix, *sleep)) as parent:
            assert within(10, lambda: len(running(sleep)) == 1), "it never began"
            parent.send_signal(signal.SIGKILL)
        assert within(10, lambda: not running(sleep)), "it outlives us"


def bootstrap_prefix(euid: int) -> tuple[str, ...]:
    whole = bootstrap_argv(recipe_of("trixie"), Sources(), Path("/nowhere"), euid=euid)
    return whole[: whole.index("mmdebstrap")]


def run(*words: str) -> str:
    """Run a command that succeeds, and return what it said."""
    ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_files_have_their_owners_in_a_namespace_on_the_disk_made_of_them_and_go_again(
    user: tuple[str, ...], home: Path, trixie: Image
) -> None:
    inside = as_root(euid=USER)
    tree = home / "tree"
    make = f"mkdir {tree} && cd {tree} && touch of-root of-daemon && chown 1:1 of-daemon && chmod 600 of-daemon"
    run(*user, *inside, "sh", "-c", make)
    assert [(tree / name).stat().st_uid for name in ("of-root", "of-daemon")] == [USER, LENT]

    shutil.copytree(SCRIPTS, home / "scripts")
    (home / "out").mkdir()
    os.chown(home / "out", USER, USER)
    binds = (
        Bind(str(tree), ROOT),
        Bind(str(home / "scripts"), f"{INSIDE}/build"),
        Bind(str(home / "out"), f"{INSIDE}/out", writable=True),
    )
    script = (f"{INSIDE}/build/make-disk", ROOT, f"{INSIDE}/out/disk", "16")
    run(*user, *building(Sandbox(trixie.root, binds), script, euid=USER))
    for name, owner in {"of-root": 0, "of-daemon": 1}.items():
        look = ("debugfs", "-R", f"stat /{name}", f"{INSIDE}/out/disk")
        assert re.search(rf"User: +{owner} ", run(*user, *building(Sandbox(trixie.root, binds), look, euid=USER)))

    run(*user, *inside, "rm", "-rf", "--one-file-system", "--", str(tree))
    assert not tree.exists()
