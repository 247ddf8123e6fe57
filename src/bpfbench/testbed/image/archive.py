# SPDX-License-Identifier: Apache-2.0
"""An image as one verified archive: written from a cache, and read into another, where nothing is built then.

It is an OCI image layout (oci.py), so that container tools read it: a root, over it the tracers where trials find them,
and the packages of targets and commands. What we know of the image is a label of it. Kernels of virtual machines are
artefacts beside it.
"""

from __future__ import annotations

import contextlib
import platform
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench.codec import from_json, to_json
from bpfbench.errors import ImageError
from bpfbench.machine import command, privileges
from bpfbench.machine.command import KILLED_WITH_US
from bpfbench.machine.privileges import as_root
from bpfbench.store import write_whole
from bpfbench.testbed.image import Image, layers, oci, with_key
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.image.layers import Progress, taken_bytes
from bpfbench.testbed.image.oci import Blob, Json, Layout, Writer
from bpfbench.testbed.sandbox import INSIDE
from bpfbench.values import file_name

LABEL = "org.bpfbench.image"
"""The label of an image with what image.json says, and of a kernel's manifest with kernel.json; paths left out."""
KERNEL = "application/vnd.bpfbench.kernel.v1"
REF = "org.opencontainers.image.ref.name"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""As uname has them -> as Go, and so container tools, do."""

# The same tree is the same archive. What is in /dev is never seen: trials and virtual machines mount their own over it.
TAR = (
    "tar", "--create", "--sort=name", "--numeric-owner", "--format=posix", "--xattrs",
    "--xattrs-include=security.capability", "--exclude=./dev/*", "--file=-",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
)  # fmt: skip
UNTAR = (
    "tar", "--extract", "--numeric-owner", "--preserve-permissions", "--xattrs", "--xattrs-include=security.capability",
    "--file=-",
)  # fmt: skip


def write(image: Image, kernels: Sequence[Kernel], path: Path, progress: Progress) -> None:
    """Write an image, with these kernels, to a file: whole, or not at all.

    Raises:
        ImageError: something of it cannot be read.
        MachineError: without root, and user namespaces are not to be had.
        OSError: the file cannot be written.
    """
    privileges.require()
    root, tracers = Path(image.root), Path(image.tracers)
    parts = {name: tree for own in image.parts if (tree := image.part(name := layers.name_and_key(own)[0]))}
    trees = [root, tracers, *parts.values(), *(Path(kernel.disk).parent for kernel in kernels)]
    share = _shares(trees, "archiving", progress)
    with Writer(path) as archive:
        made = [archive.layer(share(_packed(root)))]
        for place, tree in {"tracers": tracers, **{f"packages/{name}": tree for name, tree in parts.items()}}.items():
            made.append(archive.layer(share(_packed(tree, _moved("[.]", f".{INSIDE}/{place}")))))
        known = replace(image, root=image.root_layer, tracers=tracers.parent.name)
        config = archive.json(oci.CONFIG, _config(image, to_json(known, None), [plain for _, plain in made]))
        manifests = [_manifest(archive, config, [blob for blob, _ in made], f"bpfbench/{image.name}:{image.key}")]
        for kernel in kernels:
            layer = Path(kernel.disk).parent
            blob, plain = archive.layer(share(_packed(layer, "--sparse", "--exclude=./kernel.json")))
            about = {LABEL: to_json(replace(kernel, vmlinuz="", initrd="", disk=""), None), f"{LABEL}.plain": plain}
            named = f"bpfbench/kernel/{layer.name.replace('-', ':')}"
            empty = archive.json(oci.EMPTY, {})
            manifests.append(_manifest(archive, empty, [blob], named, KERNEL, about))
        archive.text("index.json", {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": manifests})


def read(cache: Path, path: Path, progress: Progress) -> Image:
    """Read an image, and the kernels that came with it, into the cache: whole, or not at all.

    All of it is verified before anything is unpacked, and what was compressed before anything is named as finished.

    Raises:
        ImageError: the file is none, or damaged, or of another architecture.
        MachineError: without root, and user namespaces are not to be had.
        OSError: the file cannot be read, or the cache written.
    """
    privileges.require()
    with Layout(path) as archive, layers.lock(cache, progress):
        try:
            return _read(cache, archive, progress)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise archive.wrong(f"it is no image of bpfbench's ({error})") from None


def _read(cache: Path, archive: Layout, progress: Progress) -> Image:
    progress("verifying", 0.0)
    first, *others = archive.index()["manifests"]
    manifest = archive.json(first)
    config = archive.json(manifest["config"])
    kernels = [archive.json(other) for other in others if other.get("artifactType") == KERNEL]
    for own in (manifest, *kernels):
        for descriptor in own["layers"]:
            archive.verify(descriptor)
    here = platform.machine()
    if config["architecture"] != ARCHITECTURES.get(here, here):
        raise ImageError(f"{archive.path}: it is for {config['architecture']}, and this machine is {here}")
    known = from_json(Image, config["config"]["Labels"][LABEL])
    root, layer = cache / "roots" / file_name(known.root), cache / "images" / file_name(known.tracers)
    plain = config["rootfs"]["diff_ids"]
    sizes = [descriptor["size"] for own in (manifest, *kernels) for descriptor in own["layers"]]
    share = _counted(sum(sizes), "unpacking", progress)

    def unpacked(to: Path, number: int, tree: str, finish: Callable[[Path], object], *options: str) -> None:
        if not to.exists():
            with layers.aside(to) as unfinished:
                descriptor = manifest["layers"][number]
                _unpack(share(archive.layer(descriptor, plain[number]), descriptor["size"]), unfinished / tree, options)
                finish(unfinished)

    unpacked(root, 0, "root", lambda _: None)
    for own in kernels:
        _read_kernel(cache, archive, own, share)
    for number, part in zip(range(2, len(plain)), known.parts, strict=True):
        place = f"packages/{layers.name_and_key(_layer_name(part))[0]}"
        unpacked(cache / "libraries" / part, number, "out", lambda _: None, _moved(f"[.]{INSIDE}/{place}", "."))
    image = _beside(layer, replace(known, root=str(root / "root"), tracers=str(layer / "tracers")))
    about = to_json(image)
    from_tracers = _moved(f"[.]{INSIDE}/tracers", ".")
    unpacked(layer, 1, "tracers", lambda at: (at / "image.json").write_text(about), from_tracers)
    found = with_key(cache, image.key, known.parts)
    if found is None:
        raise archive.wrong("its key is another than it says")
    return found


def _beside(layer: Path, image: Image) -> Image:
    """Have what is there of an image know the parts that have come, and return it as it is to be where nothing is."""
    if not layer.exists():
        return image
    there = layers.load(Image, layer, "image.json")
    parts = tuple(dict.fromkeys((*there.parts, *image.parts)))
    if not set(image.libraries) <= set(there.libraries):
        layers.remove(layer)  # it lacks setups that this one has; those of its own are linked again when they are used
    elif parts != there.parts:
        write_whole(layer / "image.json", to_json(replace(there, parts=parts)))
    return replace(image, parts=parts)


def _layer_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", value):
        raise ValueError(f"{value!r:.80} is no name of a layer")
    return value


def _moved(pattern: str, to: str) -> str:
    """Have tar call what is in one folder, the folder itself and hard links to it as in another."""
    return f"--transform=flags=rh;s,^{pattern},{to},"


def _read_kernel(cache: Path, archive: Layout, manifest: Json, share: Callable[..., Iterator[bytes]]) -> None:
    about = manifest["annotations"]
    known = from_json(Kernel, about[LABEL])
    layer = cache / "kernels" / file_name(f"{known.name}-{known.key}")
    if layer.exists():
        return
    vmlinuz, initrd, disk = (str(layer / name) for name in ("vmlinuz", "initrd", "kernel.ext4"))
    kernel = replace(known, vmlinuz=vmlinuz, initrd=initrd, disk=disk)
    with layers.aside(layer) as unfinished:
        (descriptor,) = manifest["layers"]
        _unpack(share(archive.layer(descriptor, about[f"{LABEL}.plain"]), descriptor["size"]), unfinished, ())
        (unfinished / "kernel.json").write_text(to_json(kernel))


def _config(image: Image, label: str, plain: Sequence[str]) -> Json:
    machine = platform.machine()
    return {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": image.built_at,
        "config": {
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["bash"],
            "Labels": {LABEL: label},
        },
        "rootfs": {"type": "layers", "diff_ids": list(plain)},
        "history": [
            {"created": image.built_at, "created_by": f"bpfbench image build {image.name}: {what}"}
            for what in ("root", "tracers", *image.parts)
        ],
    }


def _manifest(
    archive: Writer,
    config: Blob,
    own: Iterable[Blob],
    name: str,
    artifact: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Json:
    """Write a manifest; return the line of the index for it."""
    kind: dict[str, Any] = {"artifactType": artifact} if artifact else {}
    content = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": config.descriptor} | kind
    content |= {"layers": [blob.descriptor for blob in own], "annotations": dict(annotations or {})}
    return archive.json(oci.MANIFEST, content).descriptor | kind | {"annotations": {REF: name}}


def _packed(tree: Path, *options: str) -> Iterator[bytes]:
    """Yield a tar archive of a tree.

    Raises:
        ImageError: not all of it could be read.
    """
    argv = (*KILLED_WITH_US, *as_root(), *TAR, *options, f"--directory={tree}", ".")
    with _running(argv, f"{tree} cannot be archived", stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError("it is a pipe")
        yield from oci.read_from(process.stdout)


def _unpack(chunks: Iterable[bytes], tree: Path, options: Sequence[str]) -> None:
    """Unpack a tar archive into a new tree.

    Raises:
        ImageError: it cannot be.
    """
    tree.mkdir(exist_ok=True)
    argv = (*KILLED_WITH_US, *as_root(), *UNTAR, *options, f"--directory={tree}")
    with _running(argv, f"{tree} cannot be unpacked", stdin=subprocess.PIPE) as process:
        if process.stdin is None:
            raise AssertionError("it is a pipe")
        with contextlib.suppress(BrokenPipeError):  # it ended: its status and words tell why
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()


@contextlib.contextmanager
def _running(
    argv: Sequence[str], failed: str, stdin: int | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that bytes go through, and end it on leaving.

    Raises:
        ImageError: it failed; says `failed`, and its words.
    """
    command.LOG.debug("%s", shlex.join(argv))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stderr=errors, stdin=stdin, stdout=stdout, start_new_session=True)
        try:
            yield process
            status = process.wait()
        finally:
            process.kill()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            process.wait()
        if status != 0:
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip().splitlines()
            raise ImageError(f"{failed}: {words[-1] if words else f'tar ended with status {status}'}")


def _shares(trees: Sequence[Path], what: str, progress: Progress) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    """Return what tells how much of these trees has gone by."""
    counted = _counted(sum(map(taken_bytes, trees)), what, progress)
    return lambda chunks: counted(chunks, None)


def _counted(total: int, what: str, progress: Progress) -> Callable[..., Iterator[bytes]]:
    """Return what tells how much of a total has gone by: of chunks themselves, or of `size` when they are through."""
    done = 0

    def pass_on(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
        nonlocal done
        for chunk in chunks:
            if size is None:
                done += len(chunk)
            progress(what, min(1.0, done / total) if total else 1.0)
            yield chunk
        done += size or 0

    return pass_on
