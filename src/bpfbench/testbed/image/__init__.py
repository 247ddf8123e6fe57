# SPDX-License-Identifier: Apache-2.0
"""Images: a pinned Debian root with every library, compiler and built tracer, in a content-addressed cache.

An image is made of layers, each a directory that is built aside under a lock and renamed into place when whole:

    CACHE/roots/NAME-KEY/{root,log}             key: recipe, packages, architecture
    CACHE/libraries/LIBRARY-KEY/{out,log}       key: the root's, every file of LIBRARY, and those of what it needs
    CACHE/images/NAME-KEY/{tracers,image.json}  key: those of all that every image has

Tracers are hard links. A *part* is a library that is built when it is first used, and makes no other image. Setups that
take long to build are linked beside the tracers: their sources are in the image's key. Packages of a target or of a
command stay in their own layer, whose key names their sources: no other state of those gets in their place.

What a virtual machine boots besides is built when one is wanted:

    CACHE/disks/NAME-KEY/{root.ext4,log}        key: the root's, and how it is made
    CACHE/kernels/KERNEL-KEY/{vmlinuz,initrd,kernel.ext4,kernel.json,config,log}    key: the root's, suite, scripts
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bpfbench.catalogue import KERNELS
from bpfbench.codec import to_json
from bpfbench.machine import facts, privileges
from bpfbench.model import Sources
from bpfbench.store import write_whole
from bpfbench.testbed.image import layers, side_by_side
from bpfbench.testbed.image.boot import (
    Kernel,
    build_disk,
    build_kernel,
    disk_key,
    kernel_key,
    load_kernel,
    require_kernels,
)
from bpfbench.testbed.image.layers import Progress
from bpfbench.testbed.image.libraries import (
    Library,
    build_order,
    library_builds,
    library_key,
    part_called,
    parts,
    versions,
)
from bpfbench.testbed.image.root import SECONDS as ROOT_SECONDS
from bpfbench.testbed.image.root import Recipe, bootstrap, headers, packages, recipe_of, root_key
from bpfbench.testbed.image.side_by_side import Build

INSTALLED = ("tracer", "audit", "delivery", "roofline")
"""The programs whose folders an image has: tracers, what checks their output, what times it, what measures without
them. Others are for builds alone."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image."""

    name: str
    key: str
    suite: str
    built_at: str
    versions: dict[str, str]
    """Of what people ask for."""
    kernel_headers: str
    root: str
    tracers: str
    libraries: tuple[str, ...] = ()
    """The layers its tracers are from."""
    packages: dict[str, str] = field(default_factory=dict)
    """Of everything in it."""
    parts: tuple[str, ...] = ()
    """The layers of packages beside it: in the cache all that were built for it, here those that are wanted."""

    @property
    def setups(self) -> tuple[str, ...]:
        """The setups that have a tracer in it."""
        return tuple(sorted(path.parent.name for path in Path(self.tracers).glob("*/tracer")))

    def part(self, name: str) -> Path | None:
        """Return where packages are, by the name of their library; None: nobody wants them."""
        layer = self.part_layer(name)
        return _built_part(Path(self.root).parents[2], layer) / "out" if layer else None

    def part_layer(self, name: str) -> str | None:
        """Return the layer of packages, by the name of their library; None: nobody wants them."""
        return next((own for own in self.parts if layers.name_and_key(own)[0] == name), None)

    @property
    def root_layer(self) -> str:
        """The name of the layer of its root: NAME-KEY."""
        return Path(self.root).parent.name


@dataclass(frozen=True, slots=True)
class Bootable:
    """What virtual machines boot an image from."""

    disk: Path
    """ext4, with the image's root."""
    kernels: tuple[Kernel, ...]
    """Those asked for, in that order."""


def image_key(recipe: Recipe, sources: Sources) -> str:
    """Return the content address of an image."""
    root = root_key(recipe, sources)
    return layers.digest(root.encode(), *(library_key(root, library).encode() for library in build_order()))


def with_key(cache: Path, key: str, parts: Collection[str] = ()) -> Image | None:
    """Return the image with that key, also of an older recipe, and these parts, if all of them are built."""
    image = next((image for image in built(cache) if image.key == key), None)
    if image is None or not all(_built_part(cache, part).is_dir() for part in parts):
        return None
    return replace(image, parts=tuple(parts))


def completed(
    cache: Path,
    image: Image,
    sources: Sources,
    progress: Progress,
    setups: Collection[str],
    targets: Collection[str] = (),
    packages: Collection[tuple[str, ...]] = (),
) -> Image:
    """Return an image with what these setups, targets and commands want, as far as it is of today's recipe.

    Raises:
        ImageError, MachineError: as `build`.
    """
    if image.key != image_key(recipe_of(image.name), sources):
        return image
    return build(cache, image.name, sources, progress, setups, targets, packages)


def find(cache: Path, name: str, sources: Sources) -> Image | None:
    """Return the image if it is built, with those parts that are of today's sources."""
    recipe = recipe_of(name)
    try:
        image = _load(_layer(cache, recipe, sources))
    except FileNotFoundError:
        return None
    key = root_key(recipe, sources)
    of_today = {layer: part_called(layers.name_and_key(layer)[0]).layer(cache, key) for layer in image.parts}
    return replace(image, parts=tuple(name for name, layer in of_today.items() if layer.name == name))


def built(cache: Path) -> tuple[Image, ...]:
    """Return every image in the cache, also of older recipes, newest first."""
    found = [_load(path.parent) for path in (cache / "images").glob("*/image.json") if path.parent.suffix != ".partial"]
    return tuple(sorted(found, key=lambda image: image.built_at, reverse=True))


def build(
    cache: Path,
    name: str,
    sources: Sources,
    progress: Progress,
    setups: Collection[str] = (),
    targets: Collection[str] = (),
    packages: Collection[tuple[str, ...]] = (),
) -> Image:
    """Return the image, with what these setups, targets and commands want, building what is not in the cache.

    Raises:
        ImageError: a step failed; says which, with the last words of the command and where its log is.
        MachineError: without root, and user namespaces are not to be had; says what to do.
    """
    recipe = recipe_of(name)
    layer, wanted = _layer(cache, recipe, sources), parts(setups, targets, packages)
    key = root_key(recipe, sources)
    if layer.exists() and not _lacking(cache, image := _load(layer), wanted, key):
        return _with(cache, image, wanted, key)
    privileges.require({**facts.PACKAGES, **facts.BUILDING})
    with layers.lock(cache, progress):
        root, base = cache / "roots" / f"{name}-{key}", build_order()
        builds = library_builds(cache, root, sources, wanted if layer.exists() else (*base, *wanted))
        making_root = Build(root, "root", partial(bootstrap, recipe, sources), seconds=ROOT_SECONDS)
        side_by_side.build((making_root, *builds), progress)
        if not layer.exists():
            with layers.aside(layer) as unfinished:
                _assemble(
                    recipe, sources, root / "root", tuple(own.layer(cache, key) for own in base), layer, unfinished
                )
        image = _load(layer)
        for library in _lacking(cache, image, wanted, key):
            image = _taken(image, library, library.layer(cache, key))
    return _with(cache, image, wanted, key)


def _lacking(cache: Path, image: Image, wanted: Collection[Library], key: str) -> list[Library]:
    """Return which parts an image, whose root has that key, has not."""
    layer = {part: part.layer(cache, key) for part in wanted}
    linked = (part for part in wanted if part.alternatives and layer[part].name not in image.libraries)
    beside = (own for own in wanted if not own.alternatives)
    return [*linked, *(own for own in beside if layer[own].name not in image.parts or not layer[own].is_dir())]


def _taken(image: Image, library: Library, part: Path) -> Image:
    """Take a part that is built for an image's own."""
    for setup in library.alternatives:
        _put(part / "out" / setup, Path(image.tracers) / setup)
    if library.alternatives:
        own = (*image.libraries, part.name)
        image = replace(image, libraries=own, versions=image.versions | versions((part,)))
    else:
        image = replace(image, parts=tuple(dict.fromkeys((*image.parts, part.name))))
    write_whole(Path(image.tracers).parent / "image.json", to_json(image))
    return image


def _with(cache: Path, image: Image, wanted: Collection[Library], key: str) -> Image:
    """Return an image for who wants these parts: with no others."""
    parts = tuple(own.layer(cache, key) for own in wanted if not own.alternatives)
    return replace(image, parts=tuple(own.name for own in parts), versions=image.versions | versions(parts))


def _link(tree: Path, to: Path) -> None:
    """Make a tree of hard links."""
    shutil.copytree(tree, to, copy_function=os.link, symlinks=True)


def _put(tree: Path, to: Path) -> None:
    """Have `to` be a tree of hard links, whole or not at all: until it is, it stands where nobody looks for it."""
    aside = to.parent.with_name(f"{to.name}.partial")
    layers.delete_tree(aside)
    _link(tree, aside)
    layers.delete_tree(to)
    aside.rename(to)


def _assemble(
    recipe: Recipe, sources: Sources, root: Path, libraries: tuple[Path, ...], layer: Path, unfinished: Path
) -> None:
    """Make an image's own layer, of its root and its libraries'."""
    for program in (path for each in libraries for name in INSTALLED for path in (each / "out").glob(f"*/{name}")):
        _link(program.parent, unfinished / "tracers" / program.parent.name)
    in_root = packages(root)
    image = Image(
        name=recipe.name,
        key=layers.name_and_key(layer.name)[1],
        suite=sources.suite or recipe.suite,
        built_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        versions={what: in_root[package] for what, package in recipe.shown.items()} | versions(libraries),
        packages=in_root,
        kernel_headers=headers(root),
        root=str(root),
        tracers=str(layer / "tracers"),
        libraries=tuple(each.name for each in libraries),
    )
    (unfinished / "image.json").write_text(to_json(image))


def bootable(cache: Path, image: Image, names: tuple[str, ...], sources: Sources, progress: Progress) -> Bootable:
    """Return what virtual machines boot an image from, with kernels of these names, building what is not in the cache.

    Raises:
        UsageError: there is no kernel of such a name.
        ImageError, MachineError: as `build`.
    """
    require_kernels(names)
    root = Path(image.root)
    disk = _disk_layer(cache, image)
    kernels = {_kernel_layer(cache, image, name): name for name in names}
    builds = [Build(disk, "the disk", partial(build_disk, root))]
    for layer, name in kernels.items():
        builds.append(Build(layer, f"kernel {name}", partial(build_kernel, name, root, sources, layer)))
    if not all(own.layer.exists() for own in builds):
        privileges.require()
        with layers.lock(cache, progress):
            side_by_side.build(builds, progress)
    return Bootable(disk / "root.ext4", tuple(map(load_kernel, kernels)))


def boot_layers(cache: Path, image: Image) -> tuple[Path | None, tuple[Kernel, ...]]:
    """Return the disk, None if it is not built, and those kernels of an image that are."""
    disk = _disk_layer(cache, image) / "root.ext4"
    kernels = (_kernel_layer(cache, image, name) for name in KERNELS)
    return disk if disk.exists() else None, tuple(load_kernel(layer) for layer in kernels if layer.exists())


def remove(cache: Path, image: Image) -> None:
    """Delete an image, and those layers that no other image uses: its root and libraries, disk and kernels."""
    with layers.lock(cache, lambda *_: None):
        layers.remove(Path(image.tracers).parent)
        used = {layer for other in built(cache) for layer in _layers_of(cache, other)}
        kinds = ("roots", "libraries", "disks", "kernels")
        for layer in (path for kind in kinds for path in (cache / kind).glob("*") if path.is_dir()):
            if layer not in used:
                layers.delete_tree(layer) if layer.suffix == ".partial" else layers.remove(layer)


def _layers_of(cache: Path, image: Image) -> Iterator[Path]:
    """Yield where an image's layers are, those for virtual machines built or not."""
    yield cache / "roots" / image.root_layer
    yield from (cache / "libraries" / layer for layer in (*image.libraries, *image.parts))
    yield _disk_layer(cache, image)
    yield from (_kernel_layer(cache, image, name) for name in KERNELS)


def _disk_layer(cache: Path, image: Image) -> Path:
    name, key = layers.name_and_key(image.root_layer)
    return cache / "disks" / f"{name}-{disk_key(key)}"


def _kernel_layer(cache: Path, image: Image, name: str) -> Path:
    return cache / "kernels" / f"{name}-{kernel_key(layers.name_and_key(image.root_layer)[1], name)}"


def _layer(cache: Path, recipe: Recipe, sources: Sources) -> Path:
    return cache / "images" / f"{recipe.name}-{image_key(recipe, sources)}"


def _built_part(cache: Path, layer: str) -> Path:
    return cache / "libraries" / layer


def _load(layer: Path) -> Image:
    return layers.load(Image, layer, "image.json")
