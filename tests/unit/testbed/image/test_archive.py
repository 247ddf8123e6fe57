# SPDX-License-Identifier: Apache-2.0
"""An image goes through a file into another cache, and nothing but what was written comes out of it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_executable, make_image

from bpfbench.codec import to_json
from bpfbench.errors import ImageError
from bpfbench.machine import privileges
from bpfbench.testbed.image import Image, archive, boot_layers, built, oci
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.image.layers import digest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of images are root's")

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else it takes to enter images is not asked for."""
    monkeypatch.setattr(privileges, "require", lambda: None)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def image(cache: Path) -> Image:
    """A small image in the cache."""
    root = cache / "roots" / f"trixie-{KEY}" / "root"
    make_executable(root / "usr" / "bin" / "fio")
    (root / "usr/bin/fio").chmod(0o4755)
    (root / "bin").symlink_to("usr/bin")
    os.link(root / "usr/bin/fio", root / "usr/bin/fio-again")
    (root / "etc").mkdir()
    (root / "etc" / "shadow").write_text("secret\n")
    (root / "etc" / "shadow").chmod(0o640)
    os.chown(root / "etc" / "shadow", 0, 42)
    (root / "dev").mkdir()
    (root / "dev" / "null").write_text("what is mounted over")
    layer = cache / "images" / f"trixie-{KEY}"
    make_executable(layer / "tracers" / "libbpf" / "tracer")
    made = make_image(key=KEY, root=str(root), tracers=str(layer / "tracers"), libraries=("libbpf-1",))
    (layer / "image.json").write_text(to_json(made))
    return made


def quiet(_: str, __: float) -> None:
    """Tell nobody."""


def tree(path: Path) -> dict[str, Any]:
    """What is in a tree, with all that counts of it."""
    found: dict[str, Any] = {}
    for each in sorted(path.rglob("*")):
        status = each.lstat()
        content = str(each.readlink()) if each.is_symlink() else each.read_bytes() if each.is_file() else None
        found[str(each.relative_to(path))] = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, content)
    return found


def names(layer: bytes) -> list[str]:
    """What is in a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as found:
        return found.getnames()


def blobs(path: Path) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(path) as found:
        return {own.name: (found.extractfile(own) or io.BytesIO()).read() for own in found.getmembers()}


def test_it_comes_out_as_it_went_in(image: Image, tmp_path: Path) -> None:
    archive.write(image, (), tmp_path / "image.tar", quiet)
    there = tmp_path / "there"
    found = archive.read(there, tmp_path / "image.tar", quiet)
    assert found.root == str(there / "roots" / f"trixie-{KEY}" / "root")
    assert found.setups == ("libbpf",)
    assert built(there) == (found,)
    expected = tree(Path(image.root))
    del expected["dev/null"]
    assert tree(Path(found.root)) == expected
    assert tree(Path(found.tracers)) == tree(Path(image.tracers))
    assert not list(tmp_path.glob("**/*.partial"))


def test_packages_beside_it_go_with_it_and_into_a_cache_that_has_the_image_already(
    image: Image, cache: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    archive.write(image, (), tmp_path / "without.tar", quiet)
    archive.read(there, tmp_path / "without.tar", quiet)
    names = ("nginx-1", "debian_g++_strace-2")
    for name in names:
        make_executable(cache / "libraries" / name / "out" / "usr" / "bin" / "tool", name)
    archive.write(replace(image, parts=names), (), tmp_path / "with.tar", quiet)
    assert archive.read(there, tmp_path / "without.tar", quiet).parts == ()
    for path in (there, tmp_path / "new"):
        found = archive.read(path, tmp_path / "with.tar", quiet)
        assert found.parts == names
        for name in names:
            assert (path / "libraries" / name / "out" / "usr" / "bin" / "tool").read_text() == name
        (kept,) = built(path)
        assert kept == found


def test_the_same_image_makes_the_same_file(image: Image, tmp_path: Path) -> None:
    archive.write(image, (), tmp_path / "one.tar", quiet)
    archive.write(image, (), tmp_path / "two.tar", quiet)
    found = archive.read(tmp_path / "there", tmp_path / "one.tar", quiet)
    archive.write(found, (), tmp_path / "three.tar", quiet)
    one, two, three = ((tmp_path / f"{name}.tar").read_bytes() for name in ("one", "two", "three"))
    assert one == two
    assert one == three


def test_container_tools_find_an_image_with_its_layers(image: Image, tmp_path: Path) -> None:
    archive.write(image, (), tmp_path / "image.tar", quiet)
    files = blobs(tmp_path / "image.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in files.items():
        assert not name.startswith("blobs/") or name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def blob(descriptor: dict[str, Any]) -> bytes:
        content = files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert len(content) == descriptor["size"]
        return content

    (listed,) = json.loads(files["index.json"])["manifests"]
    assert listed["annotations"] == {"org.opencontainers.image.ref.name": f"bpfbench/trixie:{KEY}"}
    manifest = json.loads(blob(listed))
    config = json.loads(blob(manifest["config"]))
    assert config["os"] == "linux"
    plain = [b"".join(oci.decompressed([blob(layer)])) for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in plain]
    root, tracers = map(names, plain)
    assert "./usr/bin/fio" in root
    assert "./dev/null" not in root
    assert "./bpfbench/tracers/libbpf/tracer" in tracers
    assert str(tmp_path) not in config["config"]["Labels"][archive.LABEL]


def test_kernels_of_virtual_machines_go_along(image: Image, cache: Path, tmp_path: Path) -> None:
    layer = cache / "kernels" / f"trixie-{KEY}"
    layer.mkdir(parents=True)
    for name in ("vmlinuz", "initrd", "kernel.ext4"):
        (layer / name).write_text(name)
    os.truncate(layer / "kernel.ext4", 10_000_000)
    vmlinuz, initrd, disk = (str(layer / name) for name in ("vmlinuz", "initrd", "kernel.ext4"))
    kernel = Kernel("trixie", KEY, "trixie", "6.12", "6.12-1", (), {}, vmlinuz, initrd, disk)
    (layer / "kernel.json").write_text(to_json(kernel))
    archive.write(image, (kernel, kernel), tmp_path / "image.tar", quiet)
    there = tmp_path / "there"
    archive.read(there, tmp_path / "image.tar", quiet)
    found = there / "kernels" / f"trixie-{KEY}"
    assert (found / "kernel.ext4").read_bytes() == Path(disk).read_bytes()
    assert (found / "kernel.ext4").stat().st_blocks < 1000
    assert json.loads((found / "kernel.json").read_text())["disk"] == str(found / "kernel.ext4")
    assert boot_layers(there, built(there)[0])[0] is None


def test_what_is_there_already_is_left_alone(image: Image, cache: Path, tmp_path: Path) -> None:
    archive.write(image, (), tmp_path / "image.tar", quiet)
    before = (cache / "images" / f"trixie-{KEY}").stat()
    assert archive.read(cache, tmp_path / "image.tar", quiet) == image
    assert (cache / "images" / f"trixie-{KEY}").stat() == before


class TestRefusals:
    @pytest.fixture
    def there(self, tmp_path: Path) -> Path:
        return tmp_path / "there"

    @pytest.fixture
    def file(self, image: Image, tmp_path: Path) -> Path:
        archive.write(image, (), tmp_path / "image.tar", quiet)
        return tmp_path / "image.tar"

    def refused(self, there: Path, file: Path) -> str:
        """Import; return what is said, when nothing is left of it."""
        with pytest.raises(ImageError) as error:
            archive.read(there, file, quiet)
        assert str(file) in error.value.message
        left = [path for path in there.rglob("*") if path.is_file() and path.name != "images.lock"]
        assert left == []
        return error.value.message

    def test_a_bit_that_has_turned_wherever_it_is(self, there: Path, file: Path) -> None:
        whole = file.read_bytes()
        for at in range(700, len(whole) - 2000, max(1, len(whole) // 40)):
            if (at // 512, whole[at]) and any(whole[at - at % 512 : at - at % 512 + 512]):
                file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
                try:
                    found = archive.read(there, file, quiet)
                except ImageError:
                    left = [path for path in there.rglob("*") if path.is_file() and path.name != "images.lock"]
                    assert left == []
                else:  # it was in a date or the like of the archive's own, which says nothing
                    assert tree(Path(found.root))["usr/bin/fio"][4] is not None
                    shutil.rmtree(there)

    def test_one_that_is_cut_short(self, there: Path, file: Path) -> None:
        whole = file.read_bytes()
        for share in (0, 100, 512, 2000, len(whole) // 2, len(whole) - 4000):
            file.write_bytes(whole[:share])
            self.refused(there, file)

    def test_what_is_no_archive(self, there: Path, file: Path) -> None:
        file.write_text("hello\n" * 1000)
        assert "no tar archive" in self.refused(there, file)

    def test_an_image_that_is_not_ours(self, there: Path, file: Path) -> None:
        with oci.Writer(file) as writer:
            layer, plain = writer.layer([b""])
            config = writer.json(oci.CONFIG, {"architecture": "amd64", "config": {}, "rootfs": {"diff_ids": [plain]}})
            content = {"config": config.descriptor, "layers": [layer.descriptor]}
            manifest = writer.json(oci.MANIFEST, content)
            writer.text("index.json", {"manifests": [manifest.descriptor]})
        assert "no image of bpfbench's" in self.refused(there, file)

    @pytest.mark.parametrize(
        "change",
        [
            lambda index, _: index.update(manifests=[]),
            lambda index, _: index.update(manifests=7),
            lambda index, _: index["manifests"][0].update(digest="sha256:../../../etc/shadow"),
            lambda index, _: index["manifests"][0].update(digest=f"sha256:{'0' * 64}"),
            lambda index, _: index["manifests"][0].pop("size"),
        ],
    )
    def test_an_index_that_says_something_else(
        self, there: Path, file: Path, change: Callable[[dict[str, Any], int], None]
    ) -> None:
        files = blobs(file)
        index = json.loads(files["index.json"])
        change(index, 0)
        files["index.json"] = json.dumps(index).encode()
        with tarfile.open(file, "w") as rewritten:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                rewritten.addfile(member, io.BytesIO(content))
        self.refused(there, file)

    def test_a_name_that_climbs(self, there: Path, file: Path) -> None:
        with oci.Writer(file) as writer:
            layers = [writer.layer([digest(str(number).encode()).encode()]) for number in range(2)]
            label = to_json(make_image(root="../../escaped", tracers="trixie-1"))
            facts = {"architecture": "amd64", "config": {"Labels": {archive.LABEL: label}}}
            config = writer.json(oci.CONFIG, facts | {"rootfs": {"diff_ids": [plain for _, plain in layers]}})
            content = {"config": config.descriptor, "layers": [blob.descriptor for blob, _ in layers]}
            writer.text("index.json", {"manifests": [writer.json(oci.MANIFEST, content).descriptor]})
        assert "is no name" in self.refused(there, file)

    def test_a_layer_that_holds_something_else_than_is_said(self, there: Path, file: Path) -> None:
        with oci.Writer(file) as writer:
            layers = [writer.layer([f"{number}".encode()]) for number in range(2)]
            label = to_json(make_image(root="trixie-1", tracers="trixie-1"))
            facts = {"architecture": "amd64", "config": {"Labels": {archive.LABEL: label}}}
            config = writer.json(oci.CONFIG, facts | {"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"] * 2}})
            content = {"config": config.descriptor, "layers": [blob.descriptor for blob, _ in layers]}
            writer.text("index.json", {"manifests": [writer.json(oci.MANIFEST, content).descriptor]})
        assert "does not hold what it should" in self.refused(there, file)

    def test_another_architecture(self, there: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "riscv64")
        assert "this machine is riscv64" in self.refused(there, file)

    def test_a_file_that_cannot_be_written_leaves_nothing(self, image: Image, tmp_path: Path) -> None:
        shutil.rmtree(image.tracers)
        with pytest.raises(ImageError, match="cannot be archived"):
            archive.write(image, (), tmp_path / "image.tar", quiet)
        assert list(tmp_path.glob("*.tar*")) == []


class TestCompression:
    @pytest.mark.parametrize("size", [0, 1, 1000, oci.CHUNK, oci.CHUNK + 1, 3 * oci.CHUNK + 17])
    def test_what_was_compressed_comes_back(self, size: int) -> None:
        text = (b"a trial is a trial " * (size // 19 + 1))[:size]
        squeezed = b"".join(oci.compressed([text]))
        assert b"".join(oci.decompressed([squeezed])) == text
        in_crumbs = (squeezed[at : at + 1000] for at in range(0, len(squeezed), 1000))
        assert b"".join(oci.decompressed(in_crumbs)) == text

    def test_how_it_comes_in_chunks_makes_no_difference(self) -> None:
        text = os.urandom(1000) * 20_000
        in_crumbs = (text[at : at + 77_777] for at in range(0, len(text), 77_777))
        assert b"".join(oci.compressed(in_crumbs)) == b"".join(oci.compressed([text]))

    def test_one_that_ends_too_early_is_noticed(self) -> None:
        squeezed = b"".join(oci.compressed([os.urandom(10_000)]))
        with pytest.raises(EOFError):
            list(oci.decompressed([squeezed[:-1]]))
        with pytest.raises(zlib.error):
            list(oci.decompressed([b"no gzip at all"]))


def test_one_that_is_killed_leaves_nothing_and_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_text("before")
    child = os.fork()
    if child == 0:
        with oci.Writer(path) as writer:
            writer.blob(oci.LAYER, [b"half"])
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"image.tar": "before"}


def test_no_link_is_followed_in_the_place_of_what_is_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "")
        return opens(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".image.tar.partial").symlink_to("theirs")
    with oci.Writer(tmp_path / "image.tar") as writer:
        writer.blob(oci.LAYER, [b"whole"])
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "image.tar").is_symlink()


@pytest.mark.parametrize("number", [None, errno.EOPNOTSUPP, errno.EISDIR])
def test_it_is_written_whole_or_not_at_all_whatever_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    opens = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if number is not None and flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return opens(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    path = tmp_path / "image.tar"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), oci.Writer(path) as writer:
        writer.blob(oci.LAYER, (bytes(1 // number) for number in (1, 0)))
    assert path.read_text() == "before"
    with oci.Writer(path) as writer:
        writer.blob(oci.LAYER, [b"whole"])
    assert b"whole" in blobs(path).values()
    assert [each.name for each in tmp_path.iterdir()] == ["image.tar"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    """The process's, which can be read by setting it alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
