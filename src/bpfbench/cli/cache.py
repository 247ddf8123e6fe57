# SPDX-License-Identifier: Apache-2.0
"""image and data: what is kept between runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import Parameter

from bpfbench import catalogue
from bpfbench.cli.app import Verbose, Wait, cache_dir, data_app, image_app, on_wait, stderr, stdout
from bpfbench.cli.options import SourceOptions, split
from bpfbench.cli.show import Form, show
from bpfbench.errors import UsageError
from bpfbench.machine import privileges, turn
from bpfbench.report.document import Block, Heading, Terms
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter, set_up_logging
from bpfbench.testbed import image, sandbox
from bpfbench.testbed.host import VENUE, HostTestbed, headers_here
from bpfbench.testbed.image import Image, Kernel, Sources
from bpfbench.testbed.image.layers import taken_bytes


@image_app.command(name="build")
def image_build(
    name: str = "trixie",
    /,
    *,
    kernels: Annotated[str, Parameter(help="For virtual machines: its disk and these kernels, too.")] = "",
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    form: Form = Form(),
) -> int:
    """Build an image, unless it is built. Without root it is built in a user namespace."""
    set_up_logging(stderr, verbose=verbose)
    image.recipe_of(name)
    names = tuple(str(word) for word in split(kernels))
    image.require_kernels(names)
    sources = source_options.sources()
    with ProgressReporter(stderr) as reporter:
        ready = image.build(cache_dir(), name, sources, reporter.building)
        if names:
            image.bootable(cache_dir(), ready, names, sources, reporter.building)
    _show_images((ready,), form)
    return 0


@image_app.command(name="list")
def image_list(*, form: Form = Form()) -> int:
    """List the images that are built, the versions in them beside the paper's, and what they take."""
    _show_images(image.built(cache_dir()), form)
    return 0


@image_app.command(name="remove")
def image_remove(name: str, /, *, wait: Wait = False, verbose: Verbose = False) -> int:
    """Delete the images of that name, or the one with that key.

    Parameters
    ----------
    name
        A name (every build of it) or the beginning of a key, as `image list` shows them.
    """
    set_up_logging(stderr, verbose=verbose)
    known = image.built(cache_dir())
    chosen = [item for item in known if item.name == name or (name and item.key.startswith(name))]
    if not chosen:
        names = ", ".join(f"{item.name} {item.key}" for item in known) or "none"
        raise UsageError(f"no image {name!r} is built (there are: {names})")
    privileges.require()
    for item in chosen:
        with turn.alone(cache_dir(), on_wait(wait=wait)):
            image.remove(cache_dir(), item)
        stdout.print(f"removed {item.name} {item.key}", highlight=False)
    return 0


@image_app.command(name="check")
def image_check(
    name: str = "trixie", /, *, source_options: SourceOptions = SourceOptions(), verbose: Verbose = False
) -> int:
    """Run the linters of the tracers' sources with an image's toolchains; for those who change them."""
    set_up_logging(stderr, verbose=verbose)
    ready = _found(name, source_options.sources())
    privileges.require()
    for library in image.checked_libraries():
        image.check_sources(Path(ready.root), library, source_options.sources())
        stdout.print(f"{library}: ok", highlight=False)
    return 0


@image_app.command(name="enter")
def image_enter(name: str = "trixie", *words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> NoReturn:
    """Open a shell in an image as a trial sees it, or run a command there. Without root nothing can be traced there.

    Parameters
    ----------
    name
        Which image.
    words
        A command, after `--`.
    """
    ready = _found(name, Sources())
    testbed = HostTestbed(ready, headers_here(ready, cache_dir()), cache_dir(), cache_dir())
    if os.geteuid() == 0:
        VENUE.check()
        argv = testbed.shell(words)
    else:
        privileges.require()
        argv = sandbox.building(testbed.sandbox(()), words or ("bash",))
    os.execvp(argv[0], argv)  # noqa: S606 - replaces bpfbench by the shell


@data_app.command(name="list")
def data_list(*, form: Form = Form()) -> int:
    """List fio's data files, and the disks of virtual machines with theirs, in the cache."""
    sets = {str(path.relative_to(cache_dir() / "data")): _on_disk_bytes(path) for path in sorted(_data_sets())}
    show(form, "data", (Terms(tuple((name, campaign.gib(taken)) for name, taken in sets.items())),), sets)
    if not sets:
        stderr.print("no data files are laid out", highlight=False)
    return 0


@data_app.command(name="remove")
def data_remove(*, wait: Wait = False) -> int:
    """Delete fio's data files in the cache, and those disks; the next run writes them again."""
    for path in _data_sets():
        with turn.alone(cache_dir(), on_wait(wait=wait)):
            path.unlink() if path.is_file() else shutil.rmtree(path)
        stdout.print(f"removed {path}", highlight=False, soft_wrap=True)
    return 0


def _found(name: str, sources: Sources) -> Image:
    ready = image.find(cache_dir(), name, sources)
    if ready is None:
        raise UsageError(f"image {name!r} is not built", f"bpfbench image build {name}")
    return ready


def _on_disk_bytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_blocks * 512 for file in files)


def _data_sets() -> list[Path]:
    data = cache_dir() / "data"
    return [*(path for path in data.glob("*x*") if path.is_dir()), *data.glob("vm/*.raw")]


def _show_images(images: Sequence[Image], form: Form) -> None:
    parts = {item.key: image.boot_layers(cache_dir(), item) for item in images}
    data = [{**asdict(item), **_facts(item, *parts[item.key])} for item in images]
    show(form, "images", tuple(block for item in images for block in _image(item, *parts[item.key])), data)
    if not images:
        stderr.print("no image is built; bpfbench image build trixie", highlight=False)


def _facts(item: Image, disk: Path | None, kernels: Sequence[Kernel]) -> dict[str, object]:
    return {
        "root_taken_bytes": taken_bytes(Path(item.root)),
        "disk": str(disk) if disk else None,
        "disk_taken_bytes": taken_bytes(disk) if disk else None,
        "kernels": [{**asdict(kernel), "taken_bytes": taken_bytes(Path(kernel.disk).parent)} for kernel in kernels],
    }


def _image(item: Image, disk: Path | None, kernels: Sequence[Kernel]) -> tuple[Block, ...]:
    paper = catalogue.paper()["setup"]["versions"]
    rows = {
        component: f"{version}  (paper: {paper[component]})" if component in paper else version
        for component, version in item.versions.items()
    }
    rows["headers"] = item.kernel_headers
    rows["root"] = f"{campaign.gib(taken_bytes(Path(item.root)))}, {item.root}"
    if disk:
        rows["disk"] = f"{campaign.gib(taken_bytes(disk))}, {disk}"
    for kernel in kernels:
        hooks = ", ".join(kernel.hooks)
        taken = campaign.gib(taken_bytes(Path(kernel.disk).parent))
        rows[f"kernel {kernel.name}"] = f"{kernel.release} ({kernel.version}; {hooks}), {taken}"
    return Heading(f"{item.name} {item.key}, {item.suite}, built {item.built_at}"), Terms(tuple(rows.items()))
