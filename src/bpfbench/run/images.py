# SPDX-License-Identifier: Apache-2.0
"""What is kept between runs: images, what virtual machines boot of them, and fio's data files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bpfbench.errors import UsageError
from bpfbench.machine import privileges
from bpfbench.machine.turn import OnWait, alone
from bpfbench.model import Sources
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.testbed import image, sandbox
from bpfbench.testbed.carried import TARGET
from bpfbench.testbed.host import VENUE, HostTestbed, headers_here
from bpfbench.testbed.image import Image, archive, layers, libraries
from bpfbench.testbed.image.boot import Kernel, require_kernels
from bpfbench.testbed.image.layers import taken_bytes
from bpfbench.testbed.image.root import recipe_of


@dataclass(frozen=True, slots=True)
class Kept:
    """An image, and what it takes of its disk, in bytes."""

    image: Image
    root_bytes: int
    disk: Path | None
    """What virtual machines boot from, if it was made."""
    disk_bytes: int | None
    kernels: tuple[tuple[Kernel, int], ...]

    @property
    def facts(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            **asdict(self.image),
            "root_taken_bytes": self.root_bytes,
            "disk": str(self.disk) if self.disk else None,
            "disk_taken_bytes": self.disk_bytes,
            "kernels": [{**asdict(kernel), "taken_bytes": taken} for kernel, taken in self.kernels],
        }


def built(cache: Path) -> tuple[Kept, ...]:
    """Return the images that are built, newest first."""
    return tuple(_kept(cache, item) for item in image.built(cache))


def _kept(cache: Path, item: Image) -> Kept:
    disk, kernels = image.boot_layers(cache, item)
    return Kept(
        image=item,
        root_bytes=taken_bytes(Path(item.root)),
        disk=disk,
        disk_bytes=taken_bytes(disk) if disk else None,
        kernels=tuple((kernel, taken_bytes(Path(kernel.disk).parent)) for kernel in kernels),
    )


def build(
    name: str, kernels: Sequence[str], means: Means, setups: Collection[str] = (), targets: Collection[str] = ()
) -> Kept:
    """Build an image, what these setups and targets want of it, and for virtual machines its disk and these kernels.

    What is built stays as it is.

    Raises:
        ImageError: something could not be built.
        UsageError: there is no such image or kernel.
    """
    recipe_of(name)
    require_kernels(tuple(kernels))
    with ProgressReporter(means.console) as reporter:
        ready = image.build(means.cache, name, means.sources, reporter.building, setups, targets)
        if kernels:
            image.bootable(means.cache, ready, tuple(kernels), means.sources, reporter.building)
    return _kept(means.cache, _found(means.cache, name, means.sources))


def export(name: str, kernels: Sequence[str], path: Path, means: Means) -> Image:
    """Write an image that is built, with these kernels of virtual machines, to a file: whole, or not at all.

    Raises:
        ImageError: something of it cannot be read.
        UsageError: the image, or a kernel, is not built.
    """
    ready = _found(means.cache, name, means.sources)
    require_kernels(tuple(kernels))
    _, there = image.boot_layers(means.cache, ready)
    chosen = tuple(kernel for kernel in there if kernel.name in kernels)
    if absent := [kernel for kernel in kernels if kernel not in {own.name for own in chosen}]:
        named = ",".join(absent)
        raise UsageError(f"not built: kernel {named}", f"bpfbench image build {name} --kernels {named}")
    with ProgressReporter(means.console) as reporter:
        archive.write(ready, chosen, path, reporter.building)
    return ready


def archived(name: str, kernels: Sequence[str], means: Means) -> Path:
    """Return the file that `export` writes, kept in the cache."""
    ready = _found(means.cache, name, means.sources)
    held = layers.digest(*map(str.encode, (*ready.libraries, *ready.parts)))
    named = ready.name, ready.key, held, *sorted(kernels)
    path = means.cache / "archives" / f"{'-'.join(named)}.tar"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        export(name, kernels, path, means)
    return path


def import_(path: Path, means: Means) -> Kept:
    """Read an image from a file that `export` wrote; nothing is built.

    Raises:
        ImageError: the file is none, or damaged.
    """
    with ProgressReporter(means.console) as reporter:
        return _kept(means.cache, archive.read(means.cache, path, reporter.building))


def remove(cache: Path, name: str, on_wait: OnWait) -> Iterator[Image]:
    """Delete the images of that name, or whose key begins so, and yield each when it is gone.

    Raises:
        UsageError: there is none.
    """
    known = image.built(cache)
    chosen = [item for item in known if item.name == name or (name and item.key.startswith(name))]
    if not chosen:
        names = ", ".join(f"{item.name} {item.key}" for item in known) or "none"
        raise UsageError(f"no image {name!r} is built (there are: {names})")
    privileges.require()
    for item in chosen:
        with alone(on_wait):
            image.remove(cache, item)
            for path in (cache / "archives").glob(f"{item.name}-{item.key}*.tar"):
                path.unlink()
        yield item


def check(cache: Path, name: str, sources: Sources) -> Iterator[str]:
    """Run the linters of the tracers' sources with an image's toolchains; yield each library that passes.

    Raises:
        ImageError: one does not.
        UsageError: the image is not built.
    """
    ready = _found(cache, name, sources)
    privileges.require()
    for library in libraries.checked_libraries():
        libraries.check_sources(Path(ready.root), library, sources)
        yield library


def entering(cache: Path, name: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that opens a shell in an image as a trial sees it, or runs `words` there.

    Raises:
        MachineError: this machine lacks what that takes.
        UsageError: the image is not built.
    """
    ready = _found(cache, name, Sources())
    testbed = HostTestbed(ready, headers_here(ready, cache), cache, cache)
    if os.geteuid() == 0:
        VENUE.check()
        return testbed.shell(tuple(words))
    privileges.require()
    return sandbox.building(testbed.sandbox(()), tuple(words) or ("bash",))


def _found(cache: Path, name: str, sources: Sources) -> Image:
    ready = image.find(cache, name, sources)
    if ready is None:
        raise UsageError(f"image {name!r} is not built", f"bpfbench image build {name}")
    return ready


def data_sets(cache: Path) -> dict[Path, int]:
    """Return targets' data files, and the disks of virtual machines with theirs, with what each takes in bytes."""
    data = cache / "data"
    folders = [path for pattern in ("[0-9]*x[0-9]*", f"{TARGET}*") for path in data.glob(pattern) if path.is_dir()]
    found = [*folders, *data.glob("vm/*.raw")]
    return {path: taken_bytes(path) for path in sorted(found)}


def remove_data(cache: Path, on_wait: OnWait) -> Iterator[Path]:
    """Delete those files and disks, and yield each when it is gone."""
    for path in data_sets(cache):
        with alone(on_wait):
            path.unlink() if path.is_file() else shutil.rmtree(path)
        yield path
