# SPDX-License-Identifier: Apache-2.0
"""Libraries: folders with an executable `build`, each built in a root into a layer of its own.

Those of tracers/ are in every image. A file `needs` in a folder names, a line each, other folders there: sources it
compiles, or libraries (a linker, say) whose `out` it uses. A file `alternatives` names setups that take long to build:
they are a *part* of the image, a library that is built when it is first used. So is each folder of targets/, and the
Debian packages of a tracer that is a command.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bpfbench.catalogue import PACKAGE
from bpfbench.errors import ImageError
from bpfbench.machine import command
from bpfbench.model import Sources
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import layers
from bpfbench.testbed.image.build_sandbox import build_sandbox
from bpfbench.testbed.image.layers import Site
from bpfbench.testbed.image.side_by_side import Build
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

TRACERS = PACKAGE / "tracers"
TARGETS = PACKAGE / "targets"

NEEDS = "/run/bpfbench/needs"
"""Where a build finds the output of the libraries that its library needs."""

SECONDS = {"bpf-linker": 31.0, "aya": 40.0, "ebpf-go": 25.0, "aya-alternatives": 100.0}
"""How long building a library takes on the 2-CPU development machine, where it is more than 3 s."""


DEBIAN = "debian_"
"""What the name of packages of a command begins with, and what joins them: no package has it in its name."""


@dataclass(frozen=True, slots=True)
class Library:
    """What is built into a layer of its own."""

    folder: Path
    """Of its sources."""
    alternatives: tuple[str, ...] = ()
    """The setups that are built, where they are not the folder's own."""
    packages: tuple[str, ...] = ()
    """Of Debian, which are all that there is of it."""

    @property
    def name(self) -> str:
        """What people call it."""
        if self.packages:
            return debian(self.packages)
        return f"{self.folder.name}-alternatives" if self.alternatives else self.folder.name

    @property
    def needs(self) -> tuple[Library, ...]:
        """What its folder names, built or not.

        Raises:
            ImageError: there is no such folder.
        """
        path = self.folder / "needs"
        needed = tuple(path.read_text().split()) if path.exists() else ()
        for name in needed:
            if not (self.folder.parent / name).is_dir():
                raise ImageError(f"{path}: there is no folder {name!r} beside it")
        return tuple(Library(self.folder.parent / name) for name in needed)

    @property
    def sources(self) -> Iterator[Path]:
        """The files it is built from, less those of what it needs."""
        found = self.folder.rglob("*")
        return (path for path in found if path.is_file() and path.suffix not in {".md", ".pyc"})

    def layer(self, cache: Path, root: str) -> Path:
        """Return where it is built, or will be, for a root of this key."""
        return cache / "libraries" / f"{self.name}-{library_key(root, self)}"


def build_order() -> tuple[Library, ...]:
    """Return what every image has, each after those it needs.

    Raises:
        graphlib.CycleError: they need one another.
    """
    built_here = {Library(path.parent) for path in TRACERS.glob("*/build")}
    needed = {library: library.needs for library in sorted(built_here, key=lambda own: own.name)}
    return tuple(own for own in graphlib.TopologicalSorter(needed).static_order() if own in built_here)


def parts(
    setups: Collection[str], targets: Collection[str] = (), packages: Collection[tuple[str, ...]] = ()
) -> tuple[Library, ...]:
    """Return what these setups, targets, and commands with these packages want that not every image has."""
    found = []
    for path in sorted(TRACERS.glob("*/alternatives")):
        alternatives = tuple(path.read_text().split())
        if not set(alternatives).isdisjoint(setups):
            found.append(Library(path.parent, alternatives))
    found += [Library(TARGETS / name) for name in sorted(targets) if (TARGETS / name / "build").exists()]
    return (*found, *(Library(TARGETS / "debian", packages=own) for own in sorted(packages)))


def debian(packages: tuple[str, ...]) -> str:
    """Name the library of packages of commands."""
    return DEBIAN + "_".join(packages)


def part_called(name: str) -> Library:
    """Return the packages of a target, or of commands, whose library has that name."""
    if name.startswith(DEBIAN):
        return Library(TARGETS / "debian", packages=tuple(name.removeprefix(DEBIAN).split("_")))
    return Library(TARGETS / name)


def library_key(root: str, library: Library) -> str:
    """Return the content address of a library's layer: of what it is built in and from."""
    own = layers.contents(library.sources, library.folder.parent)
    named = (*library.packages, *(library_key(root, needed) for needed in library.needs))
    return layers.digest(root.encode(), *own, *map(str.encode, named))


def library_builds(cache: Path, root: Path, sources: Sources, wanted: Collection[Library]) -> tuple[Build, ...]:
    """Return how these libraries' layers are built in the layer `root`, and those of what they need."""
    _, key = layers.name_and_key(root.name)
    needed = {own: tuple(need for need in own.needs if (need.folder / "build").exists()) for own in _with_needs(wanted)}
    layer = {own: own.layer(cache, key) for own in needed}
    return tuple(
        Build(
            layer[own],
            own.name,
            partial(_build, own, root / "root", {need.name: layer[need] / "out" for need in needs}, sources),
            needs=(root, *(layer[need] for need in needs)),
            seconds=SECONDS.get(own.name, 3.0),
        )
        for own, needs in needed.items()
    )


def _with_needs(wanted: Collection[Library]) -> dict[Library, None]:
    found: dict[Library, None] = {}
    for own in wanted:
        found |= _with_needs([need for need in own.needs if (need.folder / "build").exists()])
        found[own] = None
    return found


def versions(library_layers: tuple[Path, ...]) -> dict[str, str]:
    """Read what builds installed as OUT/SETUP/versions: a line `component version` for each library linked in."""
    files = (path for layer in library_layers for path in sorted((layer / "out").glob("*/versions")))
    return dict(line.split() for path in files for line in path.read_text().splitlines())


def checked_libraries() -> tuple[str, ...]:
    """Return the libraries whose sources can be checked."""
    return tuple(sorted(path.parent.name for path in TRACERS.glob("*/check")))


def check_sources(root: Path, library: str, sources: Sources) -> None:
    """Run the linters of a library's sources: its executable `check`, in a root.

    Raises:
        ImageError: they found something; shows it.
    """
    lines: list[str] = []
    argv = sandbox.building(_sandbox(TRACERS / library, root, (), sources), ("./check",))
    finished = command.run(argv, on_line=lines.append, merge_stderr=True)
    if finished.status != 0:
        raise ImageError(f"{library}: check failed (exit status {finished.status}):\n  " + "\n  ".join(lines))


def _sandbox(folder: Path, root: Path, binds: tuple[Bind, ...], sources: Sources) -> Sandbox:
    """Return the inside of a root in a folder of sources, which cannot be written."""
    sources_bind = Bind(str(folder.parent), f"{INSIDE}/build")
    return build_sandbox(root, (sources_bind, *binds), sources, {"NEEDS": NEEDS}, f"{INSIDE}/build/{folder.name}")


def _build(library: Library, root: Path, needed: dict[str, Path], sources: Sources, site: Site) -> None:
    (site.partial / "out").mkdir()
    binds = (
        Bind(str(site.partial / "out"), f"{INSIDE}/out", writable=True),
        *(Bind(str(out), f"{NEEDS}/{name}") for name, out in needed.items()),
    )
    inside = _sandbox(library.folder, root, binds, sources)
    command = ("./unpack", *library.packages) if library.packages else ("./build", *library.alternatives)
    site.run(sandbox.building(inside, (command[0], f"{INSIDE}/out", *command[1:])), library.name)
