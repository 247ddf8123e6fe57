# SPDX-License-Identifier: Apache-2.0
"""image and data: what is not there is told with how to make it."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_image
from invoked import Invoke, complaint, data_of

from bpfbench.catalogue import TARGETS
from bpfbench.errors import ImageError
from bpfbench.machine import facts, privileges
from bpfbench.machine.facts import lacking
from bpfbench.machine.privileges import NAMESPACES
from bpfbench.model import Attach
from bpfbench.run import images
from bpfbench.testbed import image
from bpfbench.testbed.host import Headers
from bpfbench.testbed.image import libraries
from bpfbench.testbed.image.boot import Kernel

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


KERNEL = Kernel(
    name="trixie",
    key="0123456789abcdef",
    suite="trixie",
    release="6.12.48+deb13-amd64",
    version="6.12.48-1",
    hooks=(Attach.KPROBE, Attach.TRACEPOINT),
    config={},
    vmlinuz="/cache/kernels/x/vmlinuz",
    initrd="/cache/kernels/x/initrd",
    disk="/cache/kernels/x/kernel.ext4",
)


class TestImage:
    @pytest.fixture(autouse=True)
    def root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine that has everything, and root, unless a test says otherwise."""
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(facts, "missing", lambda: iter(()))

    @pytest.mark.parametrize("verb", ["check", "enter"])
    def test_an_image_that_is_not_built_is_told_with_how_to_build_it(self, bpfbench: Invoke, verb: str) -> None:
        for words in ((), ("trixie",)):
            outcome = bpfbench("image", verb, *words)
            assert complaint(outcome) == "bpfbench: image 'trixie' is not built"
            assert outcome.err.splitlines()[1] == "  bpfbench image build trixie"

    @pytest.mark.parametrize("verb", ["check", "enter", "build"])
    def test_an_image_that_does_not_exist_is_told_with_those_that_do(self, bpfbench: Invoke, verb: str) -> None:
        assert complaint(bpfbench("image", verb, "sidd")) == "bpfbench: image 'sidd' is not one of: trixie"

    @pytest.mark.parametrize("words", [("build",), ("check",), ("enter",), ("remove", "trixie")], ids="-".join)
    def test_without_root_and_without_user_namespaces_it_is_told_what_to_do(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        lack = lacking(NAMESPACES, "newuidmap is not installed", "apt-get install uidmap")
        monkeypatch.setattr(privileges, "namespaces", lambda: lack)
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        if words != ("build",):
            monkeypatch.setattr(image, "find", lambda *_: make_image())
            monkeypatch.setattr(image, "built", lambda *_: (make_image(),))
        outcome = bpfbench("image", *words)
        expected = "bpfbench: without root, images need user namespaces: newuidmap is not installed"
        assert complaint(outcome, status=1) == expected
        assert outcome.err.splitlines()[1] == "  apt-get install uidmap"

    def test_what_the_machine_lacks_keeps_out_of_an_image(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(facts, "missing", lambda: iter(("bwrap: not installed",)))
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        assert complaint(bpfbench("image", "enter"), status=1) == "bpfbench: bwrap: not installed"

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ((), ("bash",)),
            (("trixie",), ("bash",)),
            (("trixie", "ls", "/"), ("ls", "/")),
            (("trixie", "--", "ls", "-l", "--help"), ("ls", "-l", "--help")),
        ],
    )
    def test_a_shell_or_a_command_takes_bpfbenchs_place(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        told: list[tuple[str, ...]] = []

        def execvp(name: str, argv: tuple[str, ...]) -> None:
            assert name == argv[0]
            told.append(argv)
            raise SystemExit(0)

        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        monkeypatch.setattr("os.execvp", execvp)
        assert bpfbench("image", "enter", *given).status == 0
        (argv,) = told
        assert argv[-len(words) - 1 :] == ("--", *words)

    def test_the_sources_of_every_library_are_checked(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(libraries, "checked_libraries", lambda: ("aya", "ebpf-go"))
        monkeypatch.setattr(libraries, "check_sources", lambda *_: None)
        outcome = bpfbench("image", "check")
        assert (outcome.status, outcome.out, outcome.err) == (0, "aya: ok\nebpf-go: ok\n", "")

    def test_what_a_linter_found_ends_the_check(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        def check_sources(_: object, library: str, __: object) -> None:
            if library == "ebpf-go":
                raise ImageError("ebpf-go: check failed (exit status 2):\n  rw.go:1: [unused]")

        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(libraries, "checked_libraries", lambda: ("aya", "ebpf-go"))
        monkeypatch.setattr(libraries, "check_sources", check_sources)
        outcome = bpfbench("image", "check")
        assert (outcome.status, outcome.out) == (1, "aya: ok\n")
        assert outcome.err == "bpfbench: ebpf-go: check failed (exit status 2):\n  rw.go:1: [unused]\n"

    def test_a_kernel_that_does_not_exist_is_refused_before_anything_is_built(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("image", "build", "--kernels", "trixie,bookworm"))
        assert message == "bpfbench: kernel 'bookworm' is not one of: trixie, backports, sid"

    def test_the_kernels_asked_for_are_built_with_an_image_and_none_otherwise(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(image, "build", lambda *_: make_image())
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(image, "bootable", lambda _, __, names, *___: asked.append(names))
        monkeypatch.setattr(image, "boot_layers", lambda *_: (None, ()))
        monkeypatch.setattr(images, "taken_bytes", lambda _: 0)
        assert bpfbench("image", "build").status == 0
        assert asked == []
        assert bpfbench("image", "build", "trixie", "--kernels", "sid,trixie").status == 0
        assert asked == [("sid", "trixie")]

    def test_the_parts_asked_for_are_built_and_none_that_there_is_not(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[object, ...]] = []

        def build(*given: object) -> image.Image:
            asked.append(given[4:])
            return make_image()

        monkeypatch.setattr(image, "build", build)
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(image, "boot_layers", lambda *_: (None, ()))
        monkeypatch.setattr(images, "taken_bytes", lambda _: 0)
        assert bpfbench("image", "build", "--setups", "libbpf-tuned", "--targets", "sqlite,nginx").status == 0
        assert bpfbench("image", "build", "--targets", "all").status == 0
        assert asked == [(("libbpf-tuned",), ("nginx", "sqlite")), ((), TARGETS)]
        message = complaint(bpfbench("image", "build", "--targets", "nginy"))
        assert message.startswith("bpfbench: option --targets: 'nginy' is not one of: bursts, compile, nginx")

    def test_a_list_has_what_virtual_machines_boot_and_what_it_takes(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image, "built", lambda *_: (make_image(),))
        monkeypatch.setattr(image, "boot_layers", lambda *_: (Path("/cache/disks/x/root.ext4"), (KERNEL,)))
        monkeypatch.setattr(images, "taken_bytes", lambda path: {"root": 3, "root.ext4": 2}.get(path.name, 1) * 2**30)
        text = bpfbench("image", "list").out
        assert "root           3.0 GiB, /cache/root\n" in text
        assert "disk           2.0 GiB, /cache/disks/x/root.ext4\n" in text
        assert "kernel trixie  6.12.48+deb13-amd64 (6.12.48-1; kprobe, tracepoint), 1.0 GiB\n" in text
        (told,) = data_of(bpfbench("image", "list", "--json"))
        assert (told["root_taken_bytes"], told["disk_taken_bytes"]) == (3 * 2**30, 2 * 2**30)
        assert told["disk"] == "/cache/disks/x/root.ext4"
        assert [(kernel["name"], kernel["taken_bytes"]) for kernel in told["kernels"]] == [("trixie", 2**30)]

    def test_an_image_that_is_not_there_is_not_removed(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("image", "remove", "trixie"))
        assert message == "bpfbench: no image 'trixie' is built (there are: none)"

    def test_no_name_is_not_every_name(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        removed: list[object] = []
        monkeypatch.setattr(image, "built", lambda _: (make_image(),))
        monkeypatch.setattr(image, "remove", lambda _, item: removed.append(item))
        bpfbench("image", "remove", "")
        assert removed == []


class TestEmpty:
    def test_an_empty_cache_holds_nothing(self, bpfbench: Invoke) -> None:
        assert data_of(bpfbench("image", "list", "--json")) == []
        assert data_of(bpfbench("data", "list", "--json")) == {}
        assert bpfbench("data", "remove").status == 0


class TestArchive:
    def test_an_image_that_is_not_built_cannot_be_exported(self, bpfbench: Invoke, tmp_path: Path) -> None:
        outcome = bpfbench("image", "export", str(tmp_path / "image.tar"))
        assert complaint(outcome) == "bpfbench: image 'trixie' is not built"
        assert not (tmp_path / "image.tar").exists()

    def test_nor_a_kernel(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(image, "boot_layers", lambda *_: (None, (KERNEL,)))
        outcome = bpfbench("image", "export", "image.tar", "--kernels", "trixie,sid")
        assert complaint(outcome) == "bpfbench: not built: kernel sid"

    def test_what_is_no_archive_is_not_imported(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "image.tar").write_text("hello")
        said = complaint(bpfbench("image", "import", "image.tar"), status=1)
        assert said.startswith("bpfbench: image.tar: it is no tar archive, or cut short: ")
        said = complaint(bpfbench("image", "import", "no.tar"), status=1)
        assert said == "bpfbench: no.tar: No such file or directory"
