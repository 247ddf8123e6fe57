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

from bpfbench import campaign, catalogue
from bpfbench.cli.app import (
    Json,
    Verbose,
    cache_dir,
    data_app,
    image_app,
    print_json,
    require_root,
    stderr,
    stdout,
)
from bpfbench.cli.options import SourceOptions
from bpfbench.console import ProgressReporter, set_up_logging
from bpfbench.errors import UsageError
from bpfbench.testbed import image, machine
from bpfbench.testbed.host import HostTestbed, headers_here, require
from bpfbench.testbed.image import Image, Sources


@image_app.command(name="build")
def image_build(
    name: str = "trixie",
    /,
    *,
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    as_json: Json = False,
) -> int:
    """Build an image, unless it is built."""
    set_up_logging(stderr, verbose=verbose)
    require_root("building an image")
    image.recipe_of(name)
    with ProgressReporter(stderr) as reporter:
        ready = image.build(cache_dir(), name, source_options.sources(), reporter.building)
    _show_images((ready,), as_json)
    return 0


@image_app.command(name="list")
def image_list(*, as_json: Json = False) -> int:
    """List the images that are built, with the versions in them beside the paper's."""
    _show_images(image.built(cache_dir()), as_json)
    return 0


@image_app.command(name="remove")
def image_remove(name: str, /, *, verbose: Verbose = False) -> int:
    """Delete the images of that name, or the one with that key.

    Parameters
    ----------
    name
        A name (every build of it) or the beginning of a key, as `image list` shows them.
    """
    set_up_logging(stderr, verbose=verbose)
    require_root("removing an image")
    known = image.built(cache_dir())
    chosen = [item for item in known if item.name == name or (name and item.key.startswith(name))]
    if not chosen:
        names = ", ".join(f"{item.name} {item.key}" for item in known) or "none"
        raise UsageError(f"no image {name!r} is built (there are: {names})")
    for item in chosen:
        with campaign.alone(cache_dir()):
            image.remove(cache_dir(), item)
        stdout.print(f"removed {item.name} {item.key}", highlight=False)
    return 0


@image_app.command(name="check")
def image_check(
    name: str = "trixie", /, *, source_options: SourceOptions = SourceOptions(), verbose: Verbose = False
) -> int:
    """Run the linters of the tracers' sources with an image's toolchains; for those who change them."""
    set_up_logging(stderr, verbose=verbose)
    require_root("entering an image")
    ready = image.find(cache_dir(), name, source_options.sources())
    if ready is None:
        raise UsageError(f"image {name!r} is not built", f"bpfbench image build {name}")
    for library in image.checked_libraries():
        image.check_sources(Path(ready.root), library, source_options.sources())
        stdout.print(f"{library}: ok", highlight=False)
    return 0


@image_app.command(name="enter")
def image_enter(name: str = "trixie", *words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> NoReturn:
    """Open a shell in an image as a trial sees it, or run a command there.

    Parameters
    ----------
    name
        Which image.
    words
        A command, after `--`.
    """
    require(os.geteuid(), machine.missing())
    ready = image.find(cache_dir(), name, Sources())
    if ready is None:
        raise UsageError(f"image {name!r} is not built", f"bpfbench image build {name}")
    argv = HostTestbed(ready, headers_here(ready, cache_dir()), cache_dir(), cache_dir()).shell(words)
    os.execvp(argv[0], argv)  # noqa: S606 - replaces bpfbench by the shell


@data_app.command(name="list")
def data_list(*, as_json: Json = False) -> int:
    """List fio's data files in the cache."""
    sets = {path.name: sum(f.stat().st_blocks * 512 for f in path.iterdir()) for path in sorted(_data_sets())}
    if as_json:
        print_json(sets)
        return 0
    for name, taken in sets.items():
        stdout.print(f"{name}  {campaign.gib(taken)}", highlight=False)
    if not sets:
        stderr.print("no data files are laid out", highlight=False)
    return 0


@data_app.command(name="remove")
def data_remove() -> int:
    """Delete fio's data files in the cache; the next run writes them again."""
    for path in _data_sets():
        with campaign.alone(cache_dir()):
            shutil.rmtree(path)
        stdout.print(f"removed {path}", highlight=False, soft_wrap=True)
    return 0


def _data_sets() -> list[Path]:
    return [path for path in (cache_dir() / "data").glob("*x*") if path.is_dir()]


def _show_images(images: Sequence[Image], as_json: bool) -> None:
    if as_json:
        print_json([asdict(item) for item in images])
        return
    paper = catalogue.paper()["setup"]["versions"]
    for item in images:
        stdout.print(f"{item.name} {item.key}, {item.suite}, built {item.built_at}", highlight=False)
        width = max(map(len, ("headers", *item.versions)))
        for component, version in item.versions.items():
            note = f"  (paper: {paper[component]})" if component in paper else ""
            stdout.print(f"  {component:<{width}} {version}{note}", highlight=False)
        stdout.print(f"  {'headers':<{width}} {item.kernel_headers}", highlight=False)
    if not images:
        stderr.print("no image is built; bpfbench image build trixie", highlight=False)
