# SPDX-License-Identifier: Apache-2.0
"""The root of an image: Debian packages, unpacked and configured by mmdebstrap."""

from __future__ import annotations

import json
import platform
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from bpfbench.catalogue import IMAGES, PACKAGE
from bpfbench.errors import ImageError, UsageError
from bpfbench.machine import command, privileges
from bpfbench.model import Sources
from bpfbench.testbed.image import layers
from bpfbench.testbed.image.layers import Site

FOLDER = PACKAGE / "testbed" / "image"
HOOK = FOLDER / "install-headers"

SECONDS = 50.0
"""How long it takes to build on the 2-CPU development machine."""

MILESTONES = {
    "running apt-get update": 0.02,
    "downloading packages with apt": 0.08,
    "extracting archives": 0.15,
    "installing essential packages": 0.2,
    "downloading": 0.25,
    "installing remaining packages": 0.4,
    "running --customize-hook": 0.9,
    "cleaning package lists": 0.97,
}
"""mmdebstrap's messages, with the share of its time that lies before each."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of: recipes/NAME.toml."""

    name: str
    description: str
    suite: str
    packages: tuple[str, ...]
    shown: dict[str, str]
    """What people call a component -> the package whose version is shown for it."""


def recipe_of(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UsageError: there is none; lists those there are.
    """
    if name not in IMAGES:
        raise UsageError(f"image {name!r} is not one of: {', '.join(IMAGES)}")
    found = tomllib.loads((FOLDER / "recipes" / f"{name}.toml").read_text())
    return Recipe(name, IMAGES[name], found["suite"], tuple(found["packages"]), found["shown"])


def root_key(recipe: Recipe, sources: Sources) -> str:
    """Return the content address of an image's root."""
    suite = sources.suite or recipe.suite
    facts = [asdict(recipe), suite, platform.machine(), HOOK.read_text()]
    return layers.digest(json.dumps(facts, sort_keys=True).encode())


def bootstrap(recipe: Recipe, sources: Sources, site: Site) -> None:
    """Build the root of an image as PARTIAL/root.

    Raises:
        ImageError: mmdebstrap failed.
    """
    site.tell("starting mmdebstrap", 0.0)
    share = 0.0

    def on_line(line: str) -> None:
        nonlocal share
        if line.startswith("I: "):
            share = max([share, *(part for text, part in MILESTONES.items() if text in line)])
            site.tell(line.removeprefix("I: ").rstrip("."), share)

    argv = bootstrap_argv(recipe, sources, site.partial / "root")
    site.run(argv, f"image {recipe.name}: mmdebstrap", on_line)


def bootstrap_argv(recipe: Recipe, sources: Sources, root: Path, euid: int | None = None) -> tuple[str, ...]:
    """Return the command that builds the root. It runs in a PID namespace, so that none of its children outlives it."""
    # fmt: off
    argv = [
        # Not by SIGTERM: unshare --fork blocks it. Its end by SIGKILL ends the namespace, and so mmdebstrap.
        *command.SHOT_WITH_US,
        *privileges.unshare("--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", euid=euid),
        "mmdebstrap", "--mode=root", "--variant=apt", "--components=main",
        "--aptopt=APT::Install-Recommends \"false\"",
        f"--include={','.join(recipe.packages)}",
        f"--customize-hook={HOOK}",
    ]
    # fmt: on
    if sources.ca_bundle:
        argv.append(f'--aptopt=Acquire::https::CaInfo "{sources.ca_bundle}"')
    argv += [sources.suite or recipe.suite, str(root)]
    if sources.mirror:
        argv.append(sources.mirror)
    return tuple(argv)


def packages(root: Path) -> dict[str, str]:
    """Return every package in a root with its version.

    Raises:
        ImageError: the root cannot be asked.
    """
    lines: list[str] = []
    argv = (*privileges.as_root(), "chroot", str(root), "dpkg-query", "-W", "-f", "${Package} ${Version}\\n")
    finished = command.run(argv, on_line=lines.append)
    if finished.status != 0:
        raise ImageError(f"the packages in {root} could not be listed: {finished.last_words}")
    return dict(line.split(" ", 1) for line in lines)


def headers(root: Path) -> str:
    """Return the release of the kernel headers in a root."""
    (found,) = (path for path in (root / "usr/src").glob("linux-headers-*") if not path.name.endswith("-common"))
    return found.name.removeprefix("linux-headers-")
