# SPDX-License-Identifier: Apache-2.0
"""How the libbpf tracer is broken, and built so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bpfbench.machine import command
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.libraries import TRACERS
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

KERNEL, PROGRAMS, COUNT = "common/rw.bpf.h", "common/rw.bpf.c", "common/syscount.bpf.c"
HOOKS, RINGS, RING = "common/rw_hooks.bpf.h", "common/rw_ring.bpf.h", "libbpf/ring.c"
PROFILE, PROFILER = "common/fs_profile.bpf.c", "libbpf/fs_profile.c"
PERF_KERNEL, PERF = "common/rw_perf.bpf.h", "libbpf/perf.c"
FOLLOW, RECORD, SUMMARY, OUTPUT = "libbpf/rw.c", "libbpf/record.c", "libbpf/summary.c", "libbpf/output.c"
STOP, RUN, TRACER, OPTIONS = "libbpf/stop.c", "libbpf/run.c", "libbpf/tracer.c", "libbpf/options.c"

TEXT_OR_BINARY = "\tif (run->options.format == TEXT)\n\t\trecord_event_text"


@dataclass(frozen=True)
class Mutant:
    """One edit of the sources, and the cases of which at least one has to fail by it."""

    name: str
    """That of the setup it makes, too."""
    file: str
    old: str
    new: str
    caught_by: frozenset[str]
    attach: str = "tracepoint"
    """By which hook it is broken."""

    @property
    def tools(self) -> str:
        """What it is tried as: fs-profile where that is broken."""
        of_profile = self.file in (PROFILE, PROFILER) or self.name.startswith("profile-")
        return 'tools = "fs-profile"\nformats = "text"\n' if of_profile else 'formats = "binary"\n'


def mutant(name: str, file: str, old: str, new: str, *caught_by: str, attach: str = "tracepoint") -> Mutant:
    return Mutant(name, file, old, new, frozenset(caught_by), attach)


CALLERS = ("tracer", "rw")
"""The files of which a mutant calls what only ``unistd.h`` declares: ``fork``, ``sleep``."""


def built(image: Image, mutant: Mutant, place: Path) -> str:
    """Build a mutant and return its setup as a study has it."""
    sources = place / mutant.name / "sources"
    for folder in ("common", "libbpf"):
        shutil.copytree(TRACERS / folder, sources / folder)
    for file, old, new in (
        (mutant.file, mutant.old, mutant.new),
        ("libbpf/summary.c", '\\"setup\\": \\"" SETUP "\\"', f'\\"setup\\": \\"{mutant.name}\\"'),
        *(
            (f"libbpf/{name}.c", "#include <string.h>\n", "#include <string.h>\n#include <unistd.h>\n")
            for name in CALLERS
        ),
    ):
        text = (sources / file).read_text()
        assert text.count(old) == 1, f"{mutant.name}: not once in {file}: {old}"
        (sources / file).write_text(text.replace(old, new))
    out = place / mutant.name / "out"
    out.mkdir()
    binds = (Bind(str(sources), f"{INSIDE}/build"), Bind(str(out), f"{INSIDE}/out", writable=True))
    inside = Sandbox(root=image.root, binds=binds, workdir=f"{INSIDE}/build/libbpf")
    finished = command.run(sandbox.argv(inside, ("./build", f"{INSIDE}/out", "libbpf")))
    assert finished.status == 0, f"{mutant.name}: {finished.stderr}"
    return f'[setups.{mutant.name}]\ncommand = "{out}/libbpf/tracer"\nattaches = "{mutant.attach}"\n{mutant.tools}'


def study(image: Image, mutants: Sequence[Mutant], place: Path) -> Path:
    """Build mutants, and return the study that brings them."""
    with ThreadPoolExecutor() as pool:
        setups = "".join(pool.map(lambda mutant: built(image, mutant, place), mutants))
    names = json.dumps([mutant.name for mutant in mutants])
    path = place / "mutants.toml"
    path.write_text(f'name = "mutants"\n[factors]\nsetups = {names}\nworkloads = "read"\n{setups}')
    return path


def representatives(mutants: Iterable[Mutant]) -> tuple[Mutant, ...]:
    """Return those of which each is to be caught by a case that none before it is."""
    found: list[Mutant] = []
    for mutant in mutants:
        if mutant.caught_by - frozenset[str]().union(*(own.caught_by for own in found)):
            found.append(mutant)
    return tuple(found)
