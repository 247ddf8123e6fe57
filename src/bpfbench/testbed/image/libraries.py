# SPDX-License-Identifier: Apache-2.0
"""Libraries: the folders of tracers/ with an executable `build`, each built in a root into a layer of its own.

A file `needs` in a folder names, a line each, other folders there: sources it compiles, or libraries (a linker, say)
whose `out` it uses.
"""

from __future__ import annotations

import graphlib
import os
from collections.abc import Iterator
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

NEEDS = "/run/bpfbench/needs"
"""Where a build finds the output of the libraries that its library needs."""

SECONDS = {"bpf-linker": 31.0, "aya": 60.0, "ebpf-go": 25.0}
"""How long building a library takes on the 2-CPU development machine, where it is more than 3 s."""


def build_order() -> tuple[str, ...]:
    """Return the folders of tracers/ that are built, each after those it needs.

    Raises:
        graphlib.CycleError: they need one another.
    """
    built_here = {path.parent.name for path in TRACERS.glob("*/build")}
    order = graphlib.TopologicalSorter({library: _needs(library) for library in sorted(built_here)})
    return tuple(folder for folder in order.static_order() if folder in built_here)


def library_key(root: str, library: str) -> str:
    """Return the content address of a library's layer: of what it is built in and from."""
    parts = [root.encode()]
    for path in sorted(_sources_of(library)):
        executable = os.access(path, os.X_OK)
        parts += [str(path.relative_to(TRACERS)).encode(), b"x" if executable else b"-", path.read_bytes()]
    parts += [library_key(root, needed).encode() for needed in _needs(library)]
    return layers.digest(*parts)


def library_builds(cache: Path, root: Path, sources: Sources) -> tuple[Build, ...]:
    """Return how each library's layer is built in the layer `root`, each after those it needs."""
    key = root.name.rsplit("-", 1)[1]
    layer = {name: cache / "libraries" / f"{name}-{library_key(key, name)}" for name in build_order()}
    needed = {name: {other: layer[other] for other in _needs(name) if other in layer} for name in layer}
    return tuple(
        Build(
            layer[name],
            name,
            partial(_build, name, root / "root", {other: own / "out" for other, own in needed[name].items()}, sources),
            needs=(root, *needed[name].values()),
            seconds=SECONDS.get(name, 3.0),
        )
        for name in layer
    )


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
    argv = sandbox.building(_sandbox(library, root, (), sources), ("./check",))
    finished = command.run(argv, on_line=lines.append, merge_stderr=True)
    if finished.status != 0:
        raise ImageError(f"{library}: check failed (exit status {finished.status}):\n  " + "\n  ".join(lines))


def _sandbox(library: str, root: Path, binds: tuple[Bind, ...], sources: Sources) -> Sandbox:
    """Return the inside of a root in the folder of a library's sources, which cannot be written."""
    sources_bind = Bind(str(TRACERS), f"{INSIDE}/build")
    return build_sandbox(root, (sources_bind, *binds), sources, {"NEEDS": NEEDS}, f"{INSIDE}/build/{library}")


def _build(library: str, root: Path, needed: dict[str, Path], sources: Sources, site: Site) -> None:
    (site.partial / "out").mkdir()
    binds = (
        Bind(str(site.partial / "out"), f"{INSIDE}/out", writable=True),
        *(Bind(str(out), f"{NEEDS}/{name}") for name, out in needed.items()),
    )
    inside = _sandbox(library, root, binds, sources)
    site.run(sandbox.building(inside, ("./build", f"{INSIDE}/out")), library)


def _sources_of(folder: str) -> Iterator[Path]:
    return (path for path in (TRACERS / folder).rglob("*") if path.is_file() and path.suffix not in {".md", ".pyc"})


def _needs(folder: str) -> tuple[str, ...]:
    path = TRACERS / folder / "needs"
    needed = tuple(path.read_text().split()) if path.exists() else ()
    for name in needed:
        if not (TRACERS / name).is_dir():
            raise ImageError(f"{path}: there is no folder {name!r} beside it")
    return needed
