# SPDX-License-Identifier: Apache-2.0
"""Kernels and disks for virtual machines: their keys, what a configuration says, and when they are built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from builders import make_image

from bpfbench.catalogue import KERNELS
from bpfbench.errors import ImageError, UsageError
from bpfbench.inside.environment import parse_config
from bpfbench.machine import command, privileges
from bpfbench.machine.command import Ending, Finished
from bpfbench.model import Attach, Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Bootable, Image, boot
from bpfbench.testbed.image.boot import KERNEL_SUITES, OPTIONS, disk_key, hooks, kernel_key
from bpfbench.testbed.sandbox import INSIDE

DEFAULTS = Sources()
ROOT = "0123456789abcdef"

CONFIG = """\
# Automatically generated file; DO NOT EDIT.
CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_HZ=250
CONFIG_KPROBES=y
CONFIG_KRETPROBES=y
CONFIG_BPF_EVENTS=y
CONFIG_BPF_JIT=y
CONFIG_DEBUG_INFO_BTF=y
CONFIG_FUNCTION_TRACER=y
CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y
CONFIG_FTRACE_SYSCALLS=y
CONFIG_EXT4_FS=m
# CONFIG_PREEMPT_RT is not set
"""


class TestConfig:
    def test_a_kernel_with_everything_provides_every_flavour_the_papers_first(self) -> None:
        assert hooks(parse_config(CONFIG, OPTIONS)) == (Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT)

    @pytest.mark.parametrize(
        ("option", "lost"),
        [
            ("KPROBES", {Attach.KPROBE}),
            ("KRETPROBES", {Attach.KPROBE}),
            ("DEBUG_INFO_BTF", {Attach.FENTRY}),
            ("DYNAMIC_FTRACE_WITH_DIRECT_CALLS", {Attach.FENTRY}),
            ("FTRACE_SYSCALLS", {Attach.TRACEPOINT}),
            ("BPF_EVENTS", {Attach.KPROBE, Attach.TRACEPOINT}),
        ],
    )
    def test_a_flavour_goes_with_any_option_that_it_needs(self, option: str, lost: set[Attach]) -> None:
        options = parse_config(CONFIG, OPTIONS)
        options[option] = "n"
        assert set(Attach) - {Attach.AUTO} - set(hooks(options)) == lost


class TestKeys:
    def test_each_kernel_of_the_catalogue_has_a_suite_and_no_other_has(self) -> None:
        assert list(KERNEL_SUITES) == list(KERNELS)

    def test_another_root_another_kernel_and_another_recipe_have_other_keys(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = kernel_key(ROOT, "trixie")
        assert len({first, kernel_key("f" * 16, "trixie"), kernel_key(ROOT, "sid")}) == 3
        shutil.copytree(boot.SCRIPTS, tmp_path / "scripts")
        monkeypatch.setattr(boot, "SCRIPTS", tmp_path / "scripts")
        assert kernel_key(ROOT, "trixie") == first
        with (tmp_path / "scripts" / "init").open("a") as init:
            init.write("# other\n")
        assert kernel_key(ROOT, "trixie") != first

    def test_another_root_has_another_disk(self) -> None:
        assert disk_key(ROOT) == disk_key(ROOT) != disk_key("f" * 16)

    def test_a_kernel_that_does_not_exist_is_refused_with_those_that_do(self) -> None:
        with pytest.raises(UsageError) as caught:
            boot.require_kernels(("trixie", "bookworm"))
        assert caught.value.message == "kernel 'bookworm' is not one of: trixie, backports, sid"


@dataclass
class Builder:
    """Does what the commands of a build do, as far as it is seen from outside, and notes what it made."""

    made: list[str] = field(default_factory=list)
    argv: list[tuple[str, ...]] = field(default_factory=list)
    broken: str = ""
    """A suite whose kernel cannot be made."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None] = lambda _: None,
        merge_stderr: bool = False,
        ending: Ending | None = None,
    ) -> Finished:
        words = tuple(argv)
        assert merge_stderr == (ending is not None), "what builds a layer can be ended"
        if "rm" in words:
            shutil.rmtree(words[-1])
            return Finished(0, "")
        assert merge_stderr
        self.argv.append(words)
        out = Path(words[words.index(f"{INSIDE}/out") - 1])
        if words[-4].endswith("make-disk"):
            self.made.append("disk")
            (out / "root.ext4").write_text("disk")
            return Finished(0, "")
        suite = words[words.index(f"{INSIDE}/build/make-kernel") + 1]
        self.made.append(suite)
        if suite == self.broken:
            on_line("E: Unable to locate package linux-image-amd64")
            return Finished(100, "")
        for name, text in {
            "vmlinuz": "kernel",
            "initrd": "cpio",
            "kernel.ext4": "modules",
            "config": CONFIG,
            "release": "6.12.48+deb13-amd64\n",
            "version": "6.12.48-1\n",
        }.items():
            (out / name).write_text(text)
        return Finished(0, "")


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder()
    monkeypatch.setattr(command, "run", made)
    monkeypatch.setattr(privileges, "require", lambda: None)
    return made


class TestBootable:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache"

    @pytest.fixture
    def trixie(self, cache: Path) -> Image:
        return make_image(root=str(cache / "roots" / f"trixie-{ROOT}" / "root"))

    def bootable(self, cache: Path, of: Image, *names: str, sources: Sources = DEFAULTS) -> Bootable:
        return image.bootable(cache, of, names, sources, lambda *_: None)

    def test_the_disk_and_the_kernels_asked_for_are_built_and_no_others(
        self, cache: Path, trixie: Image, builder: Builder
    ) -> None:
        made = self.bootable(cache, trixie, "sid", "trixie")
        assert sorted(builder.made) == ["disk", "sid", "trixie"]
        assert made.disk == cache / "disks" / f"trixie-{disk_key(ROOT)}" / "root.ext4"
        assert made.disk.exists()
        assert [kernel.name for kernel in made.kernels] == ["sid", "trixie"]

    def test_a_kernel_knows_what_it_is_and_where_its_files_are(
        self, cache: Path, trixie: Image, builder: Builder
    ) -> None:
        (kernel,) = self.bootable(cache, trixie, "backports").kernels
        assert (kernel.suite, kernel.release, kernel.version) == (
            "trixie-backports",
            "6.12.48+deb13-amd64",
            "6.12.48-1",
        )
        assert kernel.key == kernel_key(ROOT, "backports")
        assert kernel.hooks == (Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT)
        assert kernel.config["CONFIG_HZ"] == "250"
        assert kernel.config["CONFIG_PREEMPT_RT"] == "n"
        assert [Path(path).read_text() for path in (kernel.vmlinuz, kernel.initrd, kernel.disk)] == [
            "kernel",
            "cpio",
            "modules",
        ]
        assert builder.made

    def test_what_is_built_is_not_built_again(self, cache: Path, trixie: Image, builder: Builder) -> None:
        first = self.bootable(cache, trixie, "trixie")
        builder.made.clear()
        assert self.bootable(cache, trixie, "trixie") == first
        assert builder.made == []
        self.bootable(cache, trixie, "trixie", "sid")
        assert builder.made == ["sid"]

    def test_a_mirror_can_be_handed_in(self, cache: Path, trixie: Image, builder: Builder) -> None:
        self.bootable(cache, trixie, "trixie", sources=Sources(mirror="http://mirror.example/debian"))
        assert any("http://mirror.example/debian" in words for words in builder.argv)

    def test_the_image_cannot_be_changed_by_what_is_made_of_it(
        self, cache: Path, trixie: Image, builder: Builder
    ) -> None:
        self.bootable(cache, trixie, "trixie")
        for words in builder.argv:
            writable = [words[i + 2] for i, word in enumerate(words) if word == "--bind"]
            assert writable == ["/sys", f"{INSIDE}/out"]

    def test_a_failure_is_told_with_its_last_words_and_leaves_nothing_that_looks_finished(
        self, cache: Path, trixie: Image, builder: Builder
    ) -> None:
        builder.broken = "sid"
        with pytest.raises(ImageError) as caught:
            self.bootable(cache, trixie, "trixie", "sid")
        assert caught.value.message == (
            "kernel sid could not be built (exit status 100):\n  E: Unable to locate package linux-image-amd64"
        )
        assert [path.name for path in (cache / "kernels").iterdir() if path.is_dir()] == [
            f"trixie-{kernel_key(ROOT, 'trixie')}"
        ]

    def test_those_of_an_image_that_are_built_are_listed(self, cache: Path, trixie: Image, builder: Builder) -> None:
        assert image.boot_layers(cache, trixie) == (None, ())
        made = self.bootable(cache, trixie, "sid", "trixie")
        disk, found = image.boot_layers(cache, trixie)
        assert disk == made.disk
        assert [kernel.name for kernel in found] == ["trixie", "sid"]
        assert builder.made

    def test_they_go_with_the_last_image_of_their_root(self, cache: Path, trixie: Image, builder: Builder) -> None:
        old, new = (self.finished(cache, trixie, key) for key in ("a" * 16, "b" * 16))
        self.bootable(cache, old, "trixie")
        image.remove(cache, old)
        assert [kernel.name for kernel in image.boot_layers(cache, new)[1]] == ["trixie"]
        image.remove(cache, new)
        assert not [path for path in cache.glob("*/*") if path.is_dir()]
        assert builder.made

    def finished(self, cache: Path, like: Image, key: str) -> Image:
        """An image with that key, and its root, in the cache."""
        layer = cache / "images" / f"trixie-{key}"
        made = replace(like, key=key, tracers=str(layer / "tracers"))
        for folder in (made.tracers, made.root):
            Path(folder).mkdir(parents=True, exist_ok=True)
        (layer / "image.json").write_text(json.dumps(asdict(made)))
        return made
