# SPDX-License-Identifier: Apache-2.0
"""Images: a pinned Debian root with every library, compiler and built tracer, in a content-addressed cache.

An image is made of layers, each a directory that is built aside under a lock and renamed into place when whole:

    CACHE/roots/NAME-KEY/{root,log}             key: recipe, packages, architecture
    CACHE/libraries/LIBRARY-KEY/{out,log}       key: the root's, every file of LIBRARY, and those of what it needs
    CACHE/images/NAME-KEY/{tracers,image.json}  key: those of all the others; the tracers are hard links

A library is a folder of tracers/ with an executable `build`. A file `needs` in it names, a line each, other folders
there: sources it compiles, or libraries (a linker, say) whose `out` it uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import graphlib
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bpfbench.catalogue import IMAGES, PACKAGE
from bpfbench.codec import from_json
from bpfbench.errors import ImageError, UsageError
from bpfbench.testbed import command, sandbox
from bpfbench.testbed.sandbox import Bind, Sandbox

TRACERS = PACKAGE / "tracers"
HOOK = PACKAGE / "testbed" / "install-headers"

Progress = Callable[[str, float], None]
"""Told what is being done and which share of the whole build is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of."""

    name: str
    description: str
    suite: str
    packages: tuple[str, ...]
    shown: dict[str, str]
    """What people call a component -> the package whose version is shown for it."""


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="trixie",
            description=IMAGES["trixie"],
            suite="trixie",
            packages=(
                "bpftool",
                "bpftrace",
                "ca-certificates",
                "cargo",
                "clang",
                "fio",
                "g++",
                "gcc",
                "golang-go",
                "libbpf-dev",
                "libc6-dev",
                "libelf-dev",
                "libpolly-19-dev",
                "libzstd-dev",
                "llvm",
                "llvm-19-dev",
                "make",
                "procps",
                "python3",
                "python3-bpfcc",
                "python3-psutil",
                "rust-clippy",
                "rust-src",
                "rustc",
                "rustfmt",
                "util-linux-extra",
                "zlib1g-dev",
            ),
            shown={
                "bpftrace": "bpftrace",
                "bcc": "python3-bpfcc",
                "libbpf": "libbpf-dev",
                "clang": "clang",
                "go": "golang-go",
                "rustc": "rustc",
                "bpftool": "bpftool",
                "fio": "fio",
                "python": "python3",
                "psutil": "python3-psutil",
            },
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where packages come from; None: the defaults of mmdebstrap."""

    mirror: str | None = None
    suite: str | None = None
    ca_bundle: str | None = None


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

    @property
    def setups(self) -> tuple[str, ...]:
        """The setups that have a tracer in it."""
        return tuple(sorted(path.parent.name for path in Path(self.tracers).glob("*/tracer")))


def root_key(recipe: Recipe, sources: Sources) -> str:
    """Return the content address of an image's root."""
    suite = sources.suite or recipe.suite
    facts = [asdict(recipe), suite, platform.machine(), HOOK.read_text()]
    return _digest(json.dumps(facts, sort_keys=True).encode())


def image_key(recipe: Recipe, sources: Sources) -> str:
    """Return the content address of an image."""
    root = root_key(recipe, sources)
    return _digest(root.encode(), *(library_key(root, library).encode() for library in libraries()))


def libraries() -> tuple[str, ...]:
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
    return _digest(*parts)


def _sources_of(folder: str) -> Iterator[Path]:
    return (path for path in (TRACERS / folder).rglob("*") if path.is_file() and path.suffix not in {".md", ".pyc"})


def _needs(folder: str) -> tuple[str, ...]:
    path = TRACERS / folder / "needs"
    needed = tuple(path.read_text().split()) if path.exists() else ()
    for name in needed:
        if not (TRACERS / name).is_dir():
            raise ImageError(f"{path}: there is no folder {name!r} beside it")
    return needed


def with_key(cache: Path, key: str) -> Image | None:
    """Return the image with that key, also of an older recipe, if it is built."""
    return next((image for image in built(cache) if image.key == key), None)


def find(cache: Path, name: str, sources: Sources) -> Image | None:
    """Return the image if it is built."""
    try:
        return _load(_place(cache, name, sources))
    except FileNotFoundError:
        return None


def built(cache: Path) -> tuple[Image, ...]:
    """Return every image in the cache, also of older recipes, newest first."""
    found = [_load(path.parent) for path in (cache / "images").glob("*/image.json") if path.parent.suffix != ".partial"]
    return tuple(sorted(found, key=lambda image: image.built_at, reverse=True))


def recipe_of(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UsageError: there is none; lists those there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(f"image {name!r} is not one of: {', '.join(RECIPES)}") from None


def build(cache: Path, name: str, sources: Sources, progress: Progress) -> Image:
    """Return the image, building what is not in the cache.

    Raises:
        ImageError: a step failed; says which, with the last words of the command and where its log is.
    """
    recipe = recipe_of(name)
    if image := find(cache, name, sources):
        return image
    place = _place(cache, name, sources)
    with _lock(cache, progress):
        if image := find(cache, name, sources):
            return image
        root = cache / "roots" / f"{name}-{root_key(recipe, sources)}"
        if not root.exists():
            with _aside(root) as partial:
                _bootstrap(recipe, sources, partial, progress)
        layers = tuple(_layers(cache, root, sources, progress))
        with _aside(place) as partial:
            _link_tracers(layers, partial / "tracers")
            image = Image(
                name=name,
                key=place.name.rsplit("-", 1)[1],
                suite=sources.suite or recipe.suite,
                built_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                versions=_versions(recipe, root / "root") | _library_versions(layers),
                packages=_packages(root / "root"),
                kernel_headers=_headers(root / "root"),
                root=str(root / "root"),
                tracers=str(place / "tracers"),
                libraries=tuple(layer.name for layer in layers),
            )
            (partial / "image.json").write_text(json.dumps(asdict(image), indent=1) + "\n")
    return image


def check_sources(image: Image, library: str, sources: Sources) -> None:
    """Run the linters of a library's sources: its executable `check`, in an image.

    Raises:
        ImageError: they found something; shows it.
    """
    inside = _build_sandbox(library, Path(image.root), (), sources)
    lines: list[str] = []
    finished = command.run(sandbox.argv(inside, ("./check",)), on_line=lines.append, merge_stderr=True)
    if finished.status != 0:
        raise ImageError(f"{library}: check failed (exit status {finished.status}):\n  " + "\n  ".join(lines))


def checked_libraries() -> tuple[str, ...]:
    """Return the libraries whose sources can be checked."""
    return tuple(sorted(path.parent.name for path in TRACERS.glob("*/check")))


def remove(cache: Path, image: Image) -> None:
    """Delete an image, and those of its layers that no other image uses."""
    place = Path(image.tracers).parent
    with _lock(cache, lambda *_: None):
        _remove(place)
        others = built(cache)
        used = {Path(other.root).parent for other in others}
        used |= {cache / "libraries" / layer for other in others for layer in other.libraries}
        for layer in (*(cache / "roots").iterdir(), *(cache / "libraries").glob("*")):
            if layer not in used:
                _delete_tree(layer) if layer.suffix == ".partial" else _remove(layer)


def _place(cache: Path, name: str, sources: Sources) -> Path:
    return cache / "images" / f"{name}-{image_key(recipe_of(name), sources)}"


def _load(place: Path) -> Image:
    path = place / "image.json"
    try:
        return from_json(Image, path.read_bytes())
    except ValueError as error:
        raise ImageError(f"{path}: {error}", f"another version of bpfbench built it: delete {place}") from error


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _lock(cache: Path, progress: Progress) -> Iterator[None]:
    """Let one build run at a time, as images share layers; the kernel drops the lock when its holder dies."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "images.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of an image", 0.0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """Give a directory to build in, renamed to `place` if all went well; one that a killed build left is deleted first.

    A failed build's log is kept beside, as PLACE.failed.log.
    """
    partial = place.with_name(f"{place.name}.partial")
    _delete_tree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(place)
    except BaseException:
        with contextlib.suppress(OSError):
            (partial / "log").rename(_failed_log(partial))
        _delete_tree(partial)
        raise


def _failed_log(partial: Path) -> Path:
    return partial.with_suffix(".failed.log")


def _remove(place: Path) -> None:
    """Delete what is finished, so that an interruption leaves something that does not look finished."""
    partial = place.with_name(f"{place.name}.partial")
    _delete_tree(partial)
    place.rename(partial)
    _delete_tree(partial)


def _delete_tree(path: Path) -> None:
    """Delete a tree without crossing into another file system, should anything be mounted below it."""
    if path.exists():
        finished = command.run(("rm", "-rf", "--one-file-system", "--", str(path)))
        if finished.status != 0:
            raise ImageError(f"{path} could not be deleted: {finished.last_words}")


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

ROOT_SHARE = 0.3
"""How much of a whole build's time the root takes, on the 2-CPU development machine; for progress only."""


def _bootstrap(recipe: Recipe, sources: Sources, partial: Path, progress: Progress) -> None:
    progress("starting mmdebstrap", 0.0)
    argv = bootstrap_argv(recipe, sources, partial / "root")
    share = 0.0
    with (partial / "log").open("w") as log:

        def on_line(line: str) -> None:
            nonlocal share
            log.write(line + "\n")
            if line.startswith("I: "):
                share = max([share, *(part for text, part in MILESTONES.items() if text in line)])
                progress(line.removeprefix("I: ").rstrip("."), ROOT_SHARE * share)

        _checked(argv, on_line, f"image {recipe.name}: mmdebstrap", partial)


def bootstrap_argv(recipe: Recipe, sources: Sources, root: Path) -> tuple[str, ...]:
    """Return the command that builds the root. It runs in a PID namespace, so that none of its children outlives it."""
    # fmt: off
    argv = [
        # Not by SIGTERM: unshare --fork blocks it. Its end by SIGKILL ends the namespace, and so mmdebstrap.
        "setpriv", "--pdeathsig", "KILL", "--",
        "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc",
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


SECONDS = {"bpf-linker": 72.0, "aya": 60.0, "ebpf-go": 25.0}
"""How long building a library takes on the 2-CPU development machine, where it is more than 3 s; for progress only."""


def _layers(cache: Path, root: Path, sources: Sources, progress: Progress) -> Iterator[Path]:
    """Build each library's layer, unless it is there."""
    key = root.name.rsplit("-", 1)[1]
    seconds = [SECONDS.get(library, 3.0) for library in libraries()]
    for number, library in enumerate(libraries()):
        layer = cache / "libraries" / f"{library}-{library_key(key, library)}"
        if not layer.exists():
            progress(f"building {library}", ROOT_SHARE + (1 - ROOT_SHARE) * sum(seconds[:number]) / sum(seconds))
            needed = {name: layer.parent / f"{name}-{library_key(key, name)}" / "out" for name in _needs(library)}
            with _aside(layer) as partial:
                _build_library(library, root / "root", needed, partial, sources)
        yield layer


NEEDS = "/run/bpfbench/needs"
"""Where a build finds the output of the libraries that its library needs."""


def _build_library(library: str, root: Path, needed: dict[str, Path], partial: Path, sources: Sources) -> None:
    (partial / "out").mkdir()
    binds = (
        Bind(str(partial / "out"), f"{sandbox.INSIDE}/out", writable=True),
        *(Bind(str(out), f"{NEEDS}/{name}") for name, out in needed.items() if out.exists()),
    )
    inside = _build_sandbox(library, root, binds, sources)
    argv = sandbox.argv(inside, ("./build", f"{sandbox.INSIDE}/out"))
    with (partial / "log").open("w") as log:
        _checked(argv, lambda line: print(line, file=log), library, partial)


def _build_sandbox(library: str, root: Path, binds: tuple[Bind, ...], sources: Sources) -> Sandbox:
    """Return the inside of a root with the sources, and with what package managers need."""
    return Sandbox(
        root=str(root),
        binds=(Bind(str(TRACERS), f"{sandbox.INSIDE}/build"), *binds, *_network_files(sources)),
        env={"NEEDS": NEEDS, **_BUILD_ENV, **_proxy_variables()},
        workdir=f"{sandbox.INSIDE}/build/{library}",
    )


def _link_tracers(layers: tuple[Path, ...], place: Path) -> None:
    place.mkdir()
    for tracer in (path for layer in layers for path in (layer / "out").glob("*/tracer")):
        shutil.copytree(tracer.parent, place / tracer.parent.name, copy_function=os.link, symlinks=True)


_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

_BUILD_ENV = {
    "SSL_CERT_FILE": _CA_BUNDLE,
    "SSL_CERT_DIR": "/etc/ssl/certs",
    "CARGO_HTTP_CAINFO": _CA_BUNDLE,
    "GOFLAGS": "-buildvcs=false",
    "GOTOOLCHAIN": "local",  # the image's Go, not one that a module asks for
}


def _network_files(sources: Sources) -> Iterator[Bind]:
    """Hand in what package managers need to reach their registries."""
    bundle = sources.ca_bundle or os.environ.get("SSL_CERT_FILE") or _CA_BUNDLE
    for host, inside in ((bundle, _CA_BUNDLE), ("/etc/resolv.conf", "/etc/resolv.conf")):
        if Path(host).exists():
            yield Bind(host, inside)


def _proxy_variables() -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: os.environ[name] for name in names if name in os.environ}


def _versions(recipe: Recipe, root: Path) -> dict[str, str]:
    by_package = _packages(root)
    return {name: by_package[package] for name, package in recipe.shown.items()}


def _library_versions(layers: tuple[Path, ...]) -> dict[str, str]:
    """Read what builds installed as OUT/SETUP/versions: a line `component version` for each library linked in."""
    files = (path for layer in layers for path in sorted((layer / "out").glob("*/versions")))
    return dict(line.split() for path in files for line in path.read_text().splitlines())


def _packages(root: Path) -> dict[str, str]:
    """Return every package in the root with its version."""
    lines: list[str] = []
    command.run(("chroot", str(root), "dpkg-query", "-W", "-f", "${Package} ${Version}\\n"), on_line=lines.append)
    return dict(line.split(" ", 1) for line in lines)


def _headers(root: Path) -> str:
    """Return the release of the kernel headers in an image."""
    (headers,) = (path for path in (root / "usr/src").glob("linux-headers-*") if not path.name.endswith("-common"))
    return headers.name.removeprefix("linux-headers-")


def _checked(argv: tuple[str, ...], on_line: Callable[[str], None], what: str, partial: Path) -> None:
    last: list[str] = []

    def keep(line: str) -> None:
        on_line(line)
        last[:] = [*last[-4:], line]

    finished = command.run(argv, on_line=keep, merge_stderr=True)
    if finished.status != 0:
        words = "\n  ".join(last) or "no message"
        raise ImageError(
            f"{what} could not be built (exit status {finished.status}):\n  {words}", f"see {_failed_log(partial)}"
        )
