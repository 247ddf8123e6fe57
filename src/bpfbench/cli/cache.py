# SPDX-License-Identifier: Apache-2.0
"""image and data: what is kept between runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from bpfbench import catalogue
from bpfbench.cli import place
from bpfbench.cli.app import Verbose, Wait, cache_dir, on_wait, stderr, stdout
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.options import chosen, split
from bpfbench.cli.show import Form, show
from bpfbench.report.document import Block, Heading, Terms
from bpfbench.run import images
from bpfbench.run.images import Kept
from bpfbench.run.progress import set_up_logging
from bpfbench.units import gib

image_app = App(
    name="image", help="Images: build, list, export, import, remove, enter, check.", help_format="plaintext"
)
ALL = "all"
"""Every setup, or target."""

data_app = App(name="data", help="Data files of targets, kept between runs: list, remove.", help_format="plaintext")


@image_app.command(name="build")
def image_build(
    name: str = "trixie",
    /,
    *,
    setups: Annotated[str, Parameter(help="Build these alternatives (or all) now, not when first used.")] = "",
    targets: Annotated[str, Parameter(help="Get these targets' packages (or all) now, not when first used.")] = "",
    kernels: Annotated[str, Parameter(help="Also build the disk of virtual machines, and these kernels.")] = "",
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    form: Form = Form(),
) -> int:
    """Build an image, unless it is built. Without root it is built in a user namespace."""
    set_up_logging(stderr, verbose=verbose)
    names = [str(word) for word in split(kernels)]
    parts = _parts("--setups", setups, catalogue.SETUPS), _parts("--targets", targets, catalogue.TARGETS)
    _show_images((images.build(name, names, means(source_options, wait=False), *parts),), form)
    return 0


def _parts(option: str, given: str, known: Collection[str]) -> tuple[str, ...]:
    """Return what an option names, of what there is; `ALL`: all of it."""
    named = chosen(option, given, (*known, ALL)) if given else ()
    return tuple(known) if ALL in named else named


@image_app.command(name="list")
def image_list(*, form: Form = Form()) -> int:
    """List the images that are built, the versions in them beside the paper's, and what they take."""
    _show_images(images.built(cache_dir()), form)
    return 0


@image_app.command(name="export")
def image_export(
    file: Path,
    name: str = "trixie",
    /,
    *,
    kernels: Annotated[str, Parameter(help="For virtual machines: these kernels, too; they must be built.")] = "",
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
) -> int:
    """Write an image to one file, for other machines and container tools (an OCI image layout in a tar archive).

    Parameters
    ----------
    file
        Where to write it. What was there is replaced.
    name
        Which image.
    """
    set_up_logging(stderr, verbose=verbose)
    place.require_file(file, "file", anew=True)
    item = images.export(name, [str(word) for word in split(kernels)], file, means(source_options, wait=False))
    stdout.print(f"{file}: {item.name} {item.key}, {gib(file.stat().st_size)}", highlight=False, soft_wrap=True)
    return 0


@image_app.command(name="import")
def image_import(file: Path, /, *, verbose: Verbose = False, form: Form = Form()) -> int:
    """Read an image from a file that `image export` wrote. Import only what you trust: it is run as root.

    Parameters
    ----------
    file
        The file. All of it is verified before any of it counts.
    """
    set_up_logging(stderr, verbose=verbose)
    _show_images((images.import_(file, means(SourceOptions(), wait=False)),), form)
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
    for item in images.remove(cache_dir(), name, on_wait(wait=wait)):
        stdout.print(f"removed {item.name} {item.key}", highlight=False)
    return 0


@image_app.command(name="check")
def image_check(
    name: str = "trixie", /, *, source_options: SourceOptions = SourceOptions(), verbose: Verbose = False
) -> int:
    """Lint the tracers' sources with an image's toolchains, if you have changed them."""
    set_up_logging(stderr, verbose=verbose)
    for library in images.check(cache_dir(), name, source_options.sources()):
        stdout.print(f"{library}: ok", highlight=False)
    return 0


@image_app.command(name="enter")
def image_enter(name: str = "trixie", *words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> NoReturn:
    """Open a shell in an image as a trial sees it, or run a command there. Without root, nothing can be traced there.

    Parameters
    ----------
    name
        Which image.
    words
        A command, after `--`.
    """
    argv = images.entering(cache_dir(), name, words)
    os.execvp(argv[0], argv)  # noqa: S606 - replaces bpfbench by the shell


@data_app.command(name="list")
def data_list(*, form: Form = Form()) -> int:
    """List what the cache holds of targets' data: files, and disks of virtual machines."""
    sets = {str(path.relative_to(cache_dir() / "data")): taken for path, taken in images.data_sets(cache_dir()).items()}
    show(form, "data", (Terms(tuple((name, gib(taken)) for name, taken in sets.items())),), sets)
    if not sets:
        stderr.print("no data files are laid out", highlight=False)
    return 0


@data_app.command(name="remove")
def data_remove(*, wait: Wait = False) -> int:
    """Delete what the cache holds of targets' data, those disks included; the next run writes it again."""
    for path in images.remove_data(cache_dir(), on_wait(wait=wait)):
        stdout.print(f"removed {path}", highlight=False, soft_wrap=True)
    return 0


def _show_images(kept: Sequence[Kept], form: Form) -> None:
    show(form, "images", tuple(block for item in kept for block in _image(item)), [item.facts for item in kept])
    if not kept:
        stderr.print("no image is built; bpfbench image build trixie", highlight=False)


def _image(kept: Kept) -> tuple[Block, ...]:
    item, paper = kept.image, catalogue.paper()["setup"]["versions"]
    rows = {
        component: f"{version}  (paper: {paper[component]})" if component in paper else version
        for component, version in item.versions.items()
    }
    rows["headers"] = item.kernel_headers
    rows["root"] = f"{gib(kept.root_bytes)}, {item.root}"
    if kept.disk and kept.disk_bytes is not None:
        rows["disk"] = f"{gib(kept.disk_bytes)}, {kept.disk}"
    for kernel, taken in kept.kernels:
        rows[f"kernel {kernel.name}"] = f"{kernel.release} ({kernel.version}; {', '.join(kernel.hooks)}), {gib(taken)}"
    return Heading(f"{item.name} {item.key}, {item.suite}, built {item.built_at}"), Terms(tuple(rows.items()))
