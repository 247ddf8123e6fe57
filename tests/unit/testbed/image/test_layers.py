# SPDX-License-Identifier: Apache-2.0
"""An image is built in layers, each once; what is built is looked at, and a fake in its place does the building."""

from __future__ import annotations

import gc
import graphlib
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_executable, make_image

from bpfbench import catalogue
from bpfbench.errors import ImageError
from bpfbench.machine import command
from bpfbench.machine.command import Ending, Finished
from bpfbench.model import Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Image, image_key, libraries
from bpfbench.testbed.image.libraries import NEEDS, Library, library_key
from bpfbench.testbed.image.root import recipe_of, root_key
from bpfbench.testbed.sandbox import INSIDE

RECIPE = recipe_of("trixie")
DEFAULTS = Sources()
ROOT = "0123456789abcdef"


def add_library(folder: Path, name: str, *needs: str) -> None:
    """Sources of a library that provides a setup of its name."""
    make_executable(folder / name / "build")
    (folder / name / "source.c").write_text(f"{name}\n")
    if needs:
        (folder / name / "needs").write_text("".join(f"{needed}\n" for needed in needs))


@pytest.fixture
def tracers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of our own: aya needs a linker, which comes after it by its name; two share what is in `common`."""
    folder = tmp_path / "tracers"
    add_library(folder, "aya", "linker", "common")
    add_library(folder, "linker")
    add_library(folder, "libbpf", "common")
    add_library(folder, "bcc")
    (folder / "common").mkdir()
    (folder / "common" / "event.h").write_text("event\n")
    monkeypatch.setattr(libraries, "TRACERS", folder)
    return folder


def build_order() -> tuple[str, ...]:
    return tuple(library.name for library in libraries.build_order())


def key_of(library: str, root: str = ROOT) -> str:
    return library_key(root, Library(libraries.TRACERS / library))


def keys() -> dict[str, str]:
    return {library: key_of(library) for library in build_order()}


def part(image: Image, name: str) -> Path:
    """Where packages are that an image has."""
    found = image.part(name)
    assert found is not None
    return found


def changed(before: dict[str, str]) -> set[str]:
    """The libraries whose key is another now."""
    return {library for library, key in keys().items() if before.get(library) != key}


class TestOrder:
    @pytest.mark.usefixtures("tracers")
    def test_a_library_comes_after_what_it_needs_and_what_is_not_built_does_not_come(self) -> None:
        found = build_order()
        assert sorted(found) == ["aya", "bcc", "libbpf", "linker"]
        assert found.index("linker") < found.index("aya")

    def test_the_order_is_that_of_needs_through_and_through(self, tracers: Path) -> None:
        add_library(tracers, "a", "b")
        add_library(tracers, "b", "z")
        add_library(tracers, "z")
        found = build_order()
        assert found.index("z") < found.index("b") < found.index("a")
        assert build_order() == found

    def test_libraries_that_need_each_other_are_refused(self, tracers: Path) -> None:
        (tracers / "linker" / "needs").write_text("aya\n")
        with pytest.raises(graphlib.CycleError):
            build_order()

    def test_those_shipped_need_what_there_is(self) -> None:
        found = build_order()
        assert {"bpftrace", "bcc", "libbpf", "ebpf-go", "aya"} <= set(found)
        for path in libraries.TRACERS.glob("*/needs"):
            for needed in path.read_text().split():
                assert (libraries.TRACERS / needed).is_dir(), f"{path}: {needed}"
                assert needed not in found or found.index(needed) < found.index(path.parent.name)


class TestKeys:
    def test_its_own_files_make_a_library_another_and_no_other_library(self, tracers: Path) -> None:
        before = keys()
        (tracers / "bcc" / "source.c").write_text("other\n")
        assert changed(before) == {"bcc"}

    def test_files_that_are_shared_make_those_others_that_need_them(self, tracers: Path) -> None:
        before = keys()
        (tracers / "common" / "event.h").write_text("other\n")
        assert changed(before) == {"aya", "libbpf"}

    def test_what_a_needed_library_is_made_of_makes_another_too(self, tracers: Path) -> None:
        before = keys()
        (tracers / "linker" / "source.c").write_text("other\n")
        assert changed(before) == {"aya", "linker"}

    def test_what_a_needed_library_needs_does_as_well(self, tracers: Path) -> None:
        (tracers / "linker" / "needs").write_text("common\n")
        before = keys()
        (tracers / "common" / "event.h").write_text("other\n")
        assert changed(before) == {"aya", "libbpf", "linker"}

    def test_to_need_something_more_makes_another(self, tracers: Path) -> None:
        before = keys()
        (tracers / "bcc" / "needs").write_text("common\n")
        assert changed(before) == {"bcc"}

    @pytest.mark.parametrize("file", ["bcc/source.c", "bcc/build"])
    def test_whether_a_file_is_executable_makes_another(self, tracers: Path, file: str) -> None:
        before = keys()
        path = tracers / file
        path.chmod(path.stat().st_mode ^ 0o111)
        assert changed(before) == {"bcc"}

    @pytest.mark.parametrize("file", ["README.md", "bcc/README.md", "bcc/__pycache__/x.cpython-311.pyc", "folder/x"])
    def test_what_is_not_built_from_makes_no_other(self, tracers: Path, file: str) -> None:
        before = keys()
        (tracers / file).parent.mkdir(exist_ok=True)
        (tracers / file).write_text("x")
        assert changed(before) == set()

    @pytest.mark.usefixtures("tracers")
    def test_another_root_makes_every_library_another(self) -> None:
        before = keys()
        assert all(key_of(library, "f" * 16) != key for library, key in before.items())

    @pytest.mark.usefixtures("tracers")
    def test_libraries_with_the_same_files_are_not_the_same(self, tracers: Path) -> None:
        shutil.copytree(tracers / "bcc", tracers / "bcc2")
        assert key_of("bcc") != key_of("bcc2")

    @pytest.mark.parametrize("file", ["bcc/source.c", "common/event.h", "linker/source.c"])
    def test_any_of_it_makes_another_image(self, tracers: Path, file: str) -> None:
        before = image_key(RECIPE, DEFAULTS)
        (tracers / file).write_text("other\n")
        assert image_key(RECIPE, DEFAULTS) != before

    def test_what_nobody_needs_makes_no_other_image(self, tracers: Path) -> None:
        before = image_key(RECIPE, DEFAULTS)
        (tracers / "unused").mkdir()
        (tracers / "unused" / "x.h").write_text("x\n")
        assert image_key(RECIPE, DEFAULTS) == before


@dataclass
class Builder:
    """Does what the commands of a build do, as far as it is seen from outside, and notes what it built."""

    built: list[str] = field(default_factory=list)
    argv: dict[str, tuple[str, ...]] = field(default_factory=dict)
    broken: str = ""
    """A library whose build fails."""

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
        if words[0] == "rm":
            shutil.rmtree(words[-1])
        elif "mmdebstrap" in words:
            assert merge_stderr
            self._note("root", words)
            (Path(words[-1]) / "usr/src/linux-headers-6.12-amd64").mkdir(parents=True)
            (Path(words[-1]) / "usr/src/linux-headers-6.12-common").mkdir(parents=True)
            on_line("I: downloading packages with apt...")
        elif "dpkg-query" in words:
            for package in RECIPE.packages:
                on_line(f"{package} 1.2-3")
        else:
            return self._build(words, on_line)
        return Finished(0, "")

    def _build(self, words: tuple[str, ...], on_line: Callable[[str], None]) -> Finished:
        library = Path(words[words.index("--chdir") + 1]).name
        self._note(library, words)
        on_line(f"compiling {library}")
        if library == self.broken:
            on_line("source.c:1: no such thing")
            return Finished(3, "")
        out = Path(words[words.index(f"{INSIDE}/out") - 1])
        if Path(words[words.index(f"{INSIDE}/build") - 1]) == libraries.TARGETS:
            make_executable(out / "usr" / "bin" / library, library)
            return Finished(0, "")
        for setup in words[words.index("./build") + 2 :] or (library,):
            make_executable(out / setup / "tracer", f"tracer of {setup}")
            (out / setup / "versions").write_text(f"{setup} 7.8\n")
        return Finished(0, "")

    def _note(self, what: str, words: tuple[str, ...]) -> None:
        self.built.append(what)
        self.argv[what] = words

    def again(self) -> None:
        """Forget what was built."""
        self.built.clear()


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder()
    monkeypatch.setattr(command, "run", made)
    monkeypatch.setattr("os.geteuid", lambda: 0)  # whoever runs the tests: nothing is really built
    return made


@pytest.mark.usefixtures("tracers")
class TestBuild:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache"

    def build(self, cache: Path) -> Image:
        return image.build(cache, "trixie", DEFAULTS, lambda *_: None)

    def layers(self, cache: Path) -> set[str]:
        """The libraries that have a finished layer."""
        return {path.name for path in (cache / "libraries").glob("*") if path.is_dir() and path.suffix != ".partial"}

    def test_the_root_comes_first_and_a_library_after_what_it_needs(self, cache: Path, builder: Builder) -> None:
        self.build(cache)
        assert builder.built[0] == "root"
        assert sorted(builder.built[1:]) == sorted(build_order())
        assert builder.built.index("linker") < builder.built.index("aya")

    def test_an_image_knows_what_is_in_it(self, cache: Path, builder: Builder) -> None:
        made = self.build(cache)
        assert made == image.find(cache, "trixie", DEFAULTS)
        assert made.key == image_key(RECIPE, DEFAULTS)
        assert made.setups == ("aya", "bcc", "libbpf", "linker")
        assert set(made.libraries) == self.layers(cache)
        assert len(made.libraries) == len(build_order())
        assert made.kernel_headers == "6.12-amd64"
        assert made.packages == dict.fromkeys(RECIPE.packages, "1.2-3")
        assert Path(made.root, "usr/src").is_dir()
        assert builder.built

    def test_versions_are_those_of_packages_and_those_that_builds_tell(self, cache: Path, builder: Builder) -> None:
        versions = self.build(cache).versions
        assert versions["fio"] == versions["bpftrace"] == "1.2-3"
        assert versions["aya"] == versions["linker"] == "7.8"
        assert versions["libbpf"] == "7.8", "what is linked in, not the package beside it"
        assert builder.built

    def test_a_library_is_not_built_again_for_a_change_of_another(
        self, cache: Path, builder: Builder, tracers: Path
    ) -> None:
        self.build(cache)
        builder.again()
        (tracers / "bcc" / "source.c").write_text("other\n")
        self.build(cache)
        assert builder.built == ["bcc"]

    def test_a_library_is_built_again_for_a_change_of_what_it_needs(
        self, cache: Path, builder: Builder, tracers: Path
    ) -> None:
        self.build(cache)
        builder.again()
        (tracers / "linker" / "source.c").write_text("other\n")
        self.build(cache)
        assert builder.built == ["linker", "aya"]

    def test_what_was_built_once_is_there_when_the_sources_are_as_they_were(
        self, cache: Path, builder: Builder, tracers: Path
    ) -> None:
        first = self.build(cache)
        (tracers / "bcc" / "source.c").write_text("other\n")
        self.build(cache)
        (tracers / "bcc" / "source.c").write_text("bcc\n")
        builder.again()
        assert self.build(cache) == first
        assert builder.built == []

    def test_a_build_finds_what_its_library_needs_and_nothing_of_others(self, cache: Path, builder: Builder) -> None:
        self.build(cache)
        key = root_key(RECIPE, DEFAULTS)
        words = builder.argv["aya"]
        linker = cache / "libraries" / f"linker-{key_of('linker', key)}" / "out"
        at = words.index(f"{NEEDS}/linker")
        assert words[at - 2 : at] == ("--ro-bind", str(linker))
        assert words[words.index("NEEDS") + 1] == NEEDS
        assert f"{NEEDS}/common" not in words, "sources are in ../common"
        assert not [word for word in builder.argv["libbpf"] if word.startswith(f"{NEEDS}/")]

    def test_a_build_may_write_nowhere_but_in_its_own_layer(self, cache: Path, builder: Builder, tracers: Path) -> None:
        self.build(cache)
        words = builder.argv["bcc"]
        writable = [words[i + 1 : i + 3] for i, word in enumerate(words) if word == "--bind"]
        assert writable[0] == ("/sys", "/sys")
        ((out, inside),) = writable[1:]
        assert (Path(out).name, inside) == ("out", f"{INSIDE}/out")
        assert words[words.index(f"{INSIDE}/build") - 2 :][:2] == ("--ro-bind", str(tracers))
        assert words[-2:] == ("./build", f"{INSIDE}/out")

    def test_proxies_are_handed_to_a_build(
        self, cache: Path, builder: Builder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
        self.build(cache)
        words = builder.argv["bcc"]
        assert words[words.index("https_proxy") - 1 :][:3] == ("--setenv", "https_proxy", "http://proxy.example:3128")

    def test_tracers_of_an_image_are_hard_links_to_those_of_its_layers(self, cache: Path, builder: Builder) -> None:
        made = self.build(cache)
        for layer in made.libraries:
            library = layer.rsplit("-", 1)[0]
            source = cache / "libraries" / layer / "out" / library / "tracer"
            linked = Path(made.tracers) / library / "tracer"
            assert source.samefile(linked)
            assert linked.read_text() == f"tracer of {library}"
        assert builder.built

    def test_progress_never_goes_back_and_names_each_library(self, cache: Path, builder: Builder) -> None:
        said: list[tuple[str, float]] = []
        image.build(cache, "trixie", DEFAULTS, lambda what, share: said.append((what, share)))
        shares = [share for _, share in said]
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] < 1
        assert said[0][0] == "building root"
        assert "building root (downloading packages with apt)" in [what for what, _ in said]
        named = {name for what, _ in said for name in what.removeprefix("building ").split(", ")}
        assert set(build_order()) <= named
        assert builder.built

    def test_a_build_that_fails_is_told_with_its_last_words_and_its_log(self, cache: Path, builder: Builder) -> None:
        builder.broken = "linker"
        with pytest.raises(ImageError) as caught:
            self.build(cache)
        assert caught.value.message == (
            "linker could not be built (exit status 3):\n  compiling linker\n  source.c:1: no such thing"
        )
        assert caught.value.hint is not None
        log = Path(caught.value.hint.removeprefix("see "))
        assert log.read_text() == "compiling linker\nsource.c:1: no such thing\n"

    def test_a_build_that_fails_leaves_nothing_that_looks_finished_and_keeps_what_is(
        self, cache: Path, builder: Builder
    ) -> None:
        builder.broken = "linker"
        with pytest.raises(ImageError):
            self.build(cache)
        done = set(builder.built) - {"root", "linker"}
        assert {layer.rsplit("-", 1)[0] for layer in self.layers(cache)} == done
        assert not list(cache.glob("*/*.partial"))
        assert image.built(cache) == ()
        builder.again()
        builder.broken = ""
        assert self.build(cache).setups == ("aya", "bcc", "libbpf", "linker")
        assert sorted(builder.built) == sorted(library for library in build_order() if library not in done)

    def test_an_interruption_leaves_nothing_that_looks_finished(
        self, cache: Path, builder: Builder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(words: tuple[str, ...], _: object) -> Finished:
            builder.built.append(words[-1])
            raise KeyboardInterrupt

        monkeypatch.setattr(builder, "_build", interrupted)
        with pytest.raises(KeyboardInterrupt):
            self.build(cache)
        assert self.layers(cache) == set()
        assert image.built(cache) == ()

    def test_what_a_killed_build_left_is_deleted_first(self, cache: Path, builder: Builder) -> None:
        name = f"bcc-{key_of('bcc', root_key(RECIPE, DEFAULTS))}"
        stale = make_executable(cache / "libraries" / f"{name}.partial" / "out" / "stale" / "tracer")
        assert "stale" not in self.build(cache).setups
        assert not stale.exists()
        assert builder.built

    def test_layers_go_with_the_last_image_that_uses_them(self, cache: Path, builder: Builder, tracers: Path) -> None:
        old = self.build(cache)
        (tracers / "bcc" / "source.c").write_text("other\n")
        new = self.build(cache)
        image.remove(cache, old)
        assert self.layers(cache) == set(new.libraries)
        assert Path(new.root).is_dir()
        assert image.built(cache) == (new,)
        image.remove(cache, new)
        assert self.layers(cache) == set()
        assert list((cache / "roots").iterdir()) == []
        assert builder.built

    def test_tracers_of_an_image_outlive_the_removal_of_another(
        self, cache: Path, builder: Builder, tracers: Path
    ) -> None:
        old = self.build(cache)
        (tracers / "bcc" / "source.c").write_text("other\n")
        new = self.build(cache)
        image.remove(cache, old)
        assert new.setups == ("aya", "bcc", "libbpf", "linker")
        assert (Path(new.tracers) / "aya" / "tracer").read_text() == "tracer of aya"
        assert not Path(old.tracers).exists()
        assert builder.built

    def test_every_file_that_is_read_is_closed(self, cache: Path, builder: Builder) -> None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self.build(cache)
            gc.collect()
        assert [str(warning.message) for warning in said] == []
        assert builder.built

    def test_an_image_whose_layers_somebody_deleted_can_be_removed(self, cache: Path, builder: Builder) -> None:
        made = self.build(cache)
        shutil.rmtree(cache / "libraries" / made.libraries[0])
        image.remove(cache, made)
        assert self.layers(cache) == set()
        assert builder.built


@pytest.mark.usefixtures("tracers")
class TestParts:
    """What an image has besides, built when it is first used."""

    @pytest.fixture(autouse=True)
    def alternatives(self, tracers: Path) -> None:
        (tracers / "aya" / "alternatives").write_text("aya-fast\naya-slow\n")

    @pytest.fixture(autouse=True)
    def targets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Two targets, of which one has packages."""
        folder = tmp_path / "targets"
        make_executable(folder / "postgres" / "build")
        (folder / "compile").mkdir()
        monkeypatch.setattr(libraries, "TARGETS", folder)
        return folder

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache"

    def build(self, cache: Path, setups: Sequence[str] = (), targets: Sequence[str] = ()) -> Image:
        return image.build(cache, "trixie", DEFAULTS, lambda *_: None, setups, targets)

    def test_what_nobody_asked_for_is_not_built(self, cache: Path, builder: Builder) -> None:
        assert self.build(cache, ["libbpf", "aya"], ["compile"]).setups == ("aya", "bcc", "libbpf", "linker")
        assert sorted(builder.built) == ["aya", "bcc", "libbpf", "linker", "root"]

    def test_an_alternative_is_built_with_its_like_when_it_is_first_used(self, cache: Path, builder: Builder) -> None:
        first = self.build(cache)
        builder.again()
        second = self.build(cache, ["aya-slow", "libbpf"])
        assert builder.built == ["aya"]
        assert builder.argv["aya"][-3:] == (f"{INSIDE}/out", "aya-fast", "aya-slow")
        assert set(second.setups) == {*first.setups, "aya-fast", "aya-slow"}
        assert second.versions == first.versions | {"aya-fast": "7.8", "aya-slow": "7.8"}
        builder.again()
        assert self.build(cache, ["aya-fast"]) == self.build(cache) == second
        assert builder.built == []

    def test_its_image_is_the_same_image(self, cache: Path, builder: Builder) -> None:
        before = self.build(cache)
        after = self.build(cache, ["aya-fast"])
        assert (after.key, after.tracers, after.built_at) == (before.key, before.tracers, before.built_at)
        assert image.built(cache) == (after,)
        assert builder.built

    def test_all_can_be_built_at_once(self, cache: Path, builder: Builder) -> None:
        made = self.build(cache, ["aya-fast"], ["postgres"])
        assert sorted(builder.built) == ["aya", "aya", "bcc", "libbpf", "linker", "postgres", "root"]
        assert "aya-fast" in made.setups
        assert (part(made, "postgres") / "usr" / "bin" / "postgres").read_text() == "postgres"

    def test_an_alternative_changes_with_the_sources_it_shares(
        self, cache: Path, builder: Builder, tracers: Path
    ) -> None:
        self.build(cache, ["aya-fast"])
        builder.again()
        (tracers / "linker" / "source.c").write_text("other\n")
        self.build(cache, ["aya-fast"])
        assert sorted(builder.built) == ["aya", "aya", "linker"]

    def test_two_states_of_a_targets_sources_have_what_is_theirs_side_by_side(
        self, cache: Path, builder: Builder, targets: Path
    ) -> None:
        before = self.build(cache, (), ["postgres"])
        builder.again()
        (targets / "postgres" / "more").write_text("more\n")
        after = self.build(cache, (), ["postgres"])
        assert builder.built == ["postgres"]
        assert (after.key, after.libraries) == (before.key, before.libraries)
        assert part(after, "postgres") != part(before, "postgres")
        assert part(before, "postgres").is_dir()
        assert image.find(cache, "trixie", DEFAULTS) == replace(after, versions=before.versions)
        (targets / "postgres" / "more").unlink()
        builder.again()
        assert self.build(cache, (), ["postgres"]) == before
        assert builder.built == []
        image.remove(cache, before)
        assert not list((cache / "libraries").iterdir())

    def test_a_part_of_packages_is_found_by_what_it_is_of(self, cache: Path, builder: Builder, targets: Path) -> None:
        (targets / "debian").mkdir()
        wanted = ("strace", "g++"), ("postgres",)
        made = image.build(cache, "trixie", DEFAULTS, lambda *_: None, (), ["postgres"], wanted)
        parts = [part(made, name) for name in ("postgres", *map(libraries.debian, wanted))]
        assert len(set(parts)) == 3
        assert image.find(cache, "trixie", DEFAULTS) == made
        assert image.with_key(cache, made.key, made.parts) == made
        assert self.build(cache).parts == ()
        shutil.rmtree(parts[0].parent)
        assert image.with_key(cache, made.key, made.parts) is None
        builder.again()
        assert image.build(cache, "trixie", DEFAULTS, lambda *_: None, (), ["postgres"], wanted) == made
        assert builder.built == ["postgres"]

    def test_a_part_that_fails_leaves_the_image_as_it_was(self, cache: Path, builder: Builder) -> None:
        before = self.build(cache)
        builder.broken = "postgres"
        with pytest.raises(ImageError, match="postgres could not be built"):
            self.build(cache, (), ["postgres"])
        assert image.built(cache) == (before,)
        builder.broken = ""
        assert part(self.build(cache, (), ["postgres"]), "postgres").is_dir()

    def test_one_that_was_killed_while_a_part_was_put_in_is_no_setup(
        self, cache: Path, builder: Builder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = self.build(cache)
        copy = shutil.copytree

        def killed(*given: Any, **more: Any) -> None:
            copy(*given, **more)
            raise KeyboardInterrupt

        monkeypatch.setattr(shutil, "copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            self.build(cache, ["aya-fast"])
        monkeypatch.setattr(shutil, "copytree", copy)
        assert image.built(cache) == (before,)
        assert image.built(cache)[0].setups == ("aya", "bcc", "libbpf", "linker")
        assert "aya-fast" in self.build(cache, ["aya-fast"]).setups
        assert builder.built

    def test_parts_go_with_their_image(self, cache: Path, builder: Builder) -> None:
        image.remove(cache, self.build(cache, ["aya-fast"], ["postgres"]))
        assert not any((cache / kind).exists() and list((cache / kind).iterdir()) for kind in ("libraries", "images"))
        assert builder.built

    def test_an_image_of_another_recipe_gets_no_more_parts(self, cache: Path, builder: Builder, tracers: Path) -> None:
        old = self.build(cache)
        (tracers / "bcc" / "source.c").write_text("other\n")
        assert image.completed(cache, old, DEFAULTS, lambda *_: None, ["aya-fast"]) == old
        (tracers / "bcc" / "source.c").write_text("bcc\n")
        builder.again()
        assert "aya-fast" in image.completed(cache, old, DEFAULTS, lambda *_: None, ["aya-fast"]).setups
        assert builder.built == ["aya"]

    def test_those_shipped_are_setups_of_the_catalogue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        for path in libraries.TRACERS.glob("*/alternatives"):
            for setup in path.read_text().split():
                assert catalogue.SETUPS[setup].alternative_to


class TestCheck:
    """The linters of a library's sources."""

    IMAGE = make_image()

    def test_those_libraries_can_be_checked_that_say_how(self, tracers: Path) -> None:
        assert libraries.checked_libraries() == ()
        make_executable(tracers / "libbpf" / "check")
        make_executable(tracers / "aya" / "check")
        assert libraries.checked_libraries() == ("aya", "libbpf")

    def test_its_check_is_run_in_the_image_in_its_folder_and_may_write_nothing(
        self, tracers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[tuple[str, ...]] = []

        def run(argv: tuple[str, ...], **_: object) -> Finished:
            told.append(argv)
            return Finished(0, "")

        monkeypatch.setattr(command, "run", run)
        libraries.check_sources(Path(self.IMAGE.root), "libbpf", DEFAULTS)
        (words,) = told
        assert words[-1] == "./check"
        assert words[words.index("--chdir") + 1] == f"{INSIDE}/build/libbpf"
        assert words[words.index("--ro-bind") + 1 :][:2] == (self.IMAGE.root, "/")
        assert words[words.index(f"{INSIDE}/build") - 2 :][:2] == ("--ro-bind", str(tracers))
        assert [words[i + 2] for i, word in enumerate(words) if word == "--bind"] == ["/sys"]

    def test_what_it_found_is_shown_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(_: object, *, on_line: Callable[[str], None], merge_stderr: bool) -> Finished:
            assert merge_stderr
            for number in range(9):
                on_line(f"rw.go:{number}: unused")
            return Finished(2, "")

        monkeypatch.setattr(command, "run", run)
        with pytest.raises(ImageError) as caught:
            libraries.check_sources(Path(self.IMAGE.root), "ebpf-go", DEFAULTS)
        first, *rest = caught.value.message.splitlines()
        assert first == "ebpf-go: check failed (exit status 2):"
        assert rest == [f"  rw.go:{number}: unused" for number in range(9)]
