# SPDX-License-Identifier: Apache-2.0
"""An image's key names what it is made of; the commands that build it are looked at, never run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bpfbench.catalogue import IMAGES
from bpfbench.errors import ImageError, UsageError
from bpfbench.machine import command
from bpfbench.machine.command import Finished
from bpfbench.model import Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Image, image_key, libraries
from bpfbench.testbed.image.root import Recipe, bootstrap_argv, recipe_of, root_key

RECIPE = Recipe("mine", "for tests", "trixie", ("fio", "clang"), {"fio": "fio"})
DEFAULTS = Sources()


@pytest.fixture
def tracers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tracer sources of our own in place of the shipped ones."""
    folder = tmp_path / "tracers"
    (folder / "bcc").mkdir(parents=True)
    (folder / "bcc" / "build").write_text("#!/bin/sh\n")
    (folder / "bcc" / "kernel.c").write_text("int x;\n")
    monkeypatch.setattr(libraries, "TRACERS", folder)
    return folder


def built_image(cache: Path, name: str, key: str, built_at: str) -> Image:
    """What a finished build leaves."""
    folder = cache / "images" / f"{name}-{key}"
    (folder / "tracers" / "bcc").mkdir(parents=True)
    (folder / "tracers" / "bcc" / "tracer").touch()
    made = Image(
        name=name,
        key=key,
        suite="trixie",
        built_at=built_at,
        versions={"bcc": "0.31"},
        packages={"python3-bpfcc": "0.31", "libc6": "2.41"},
        kernel_headers="6.12-amd64",
        root=str(cache / "roots" / f"{name}-1" / "root"),
        tracers=str(folder / "tracers"),
    )
    Path(made.root).mkdir(parents=True, exist_ok=True)
    (folder / "image.json").write_text(json.dumps(asdict(made)))
    return made


class TestRootKey:
    def test_the_same_recipe_has_the_same_key(self) -> None:
        assert root_key(RECIPE, DEFAULTS) == root_key(replace(RECIPE), Sources())

    def test_a_key_is_short_and_fit_for_a_file_name(self) -> None:
        assert re.fullmatch("[0-9a-f]{16}", root_key(RECIPE, DEFAULTS))

    @pytest.mark.parametrize(
        "other",
        [
            replace(RECIPE, packages=("fio", "clang", "gcc")),
            replace(RECIPE, packages=("fio",)),
            replace(RECIPE, suite="sid"),
            replace(RECIPE, name="other"),
        ],
        ids=["a package more", "a package less", "suite", "name"],
    )
    def test_another_recipe_has_another_key(self, other: Recipe) -> None:
        assert root_key(other, DEFAULTS) != root_key(RECIPE, DEFAULTS)

    def test_another_suite_from_the_command_line_has_another_key(self) -> None:
        assert root_key(RECIPE, Sources(suite="sid")) != root_key(RECIPE, DEFAULTS)
        assert root_key(RECIPE, Sources(suite="trixie")) == root_key(RECIPE, DEFAULTS)

    def test_where_packages_are_fetched_from_changes_no_key(self) -> None:
        near = Sources(mirror="http://mirror.example/debian", ca_bundle="/etc/ca.pem")
        assert root_key(RECIPE, near) == root_key(RECIPE, DEFAULTS)


class TestImageKey:
    @pytest.mark.usefixtures("tracers")
    def test_another_root_is_another_image(self) -> None:
        assert image_key(RECIPE, DEFAULTS) != image_key(replace(RECIPE, packages=("fio",)), DEFAULTS)

    @pytest.mark.parametrize("change", ["content", "new file", "name", "removal", "executable"])
    def test_any_change_of_the_tracers_sources_is_another_image(self, tracers: Path, change: str) -> None:
        before = image_key(RECIPE, DEFAULTS)
        source = tracers / "bcc" / "kernel.c"
        match change:
            case "content":
                source.write_text("int y;\n")
            case "new file":
                (tracers / "bcc" / "empty").touch()
            case "name":
                source.rename(tracers / "bcc" / "kernel2.c")
            case "removal":
                source.unlink()
            case "executable":
                source.chmod(0o755)
        assert image_key(RECIPE, DEFAULTS) != before

    def test_two_files_are_not_taken_for_one_that_reads_alike(self, tracers: Path) -> None:
        source = tracers / "bcc" / "kernel.c"
        source.write_text("one bcc/more.c-two")
        before = image_key(RECIPE, DEFAULTS)
        source.write_text("one ")
        (tracers / "bcc" / "more.c").write_text("two")
        assert image_key(RECIPE, DEFAULTS) != before

    def test_neither_time_nor_compiled_python_makes_another_image(self, tracers: Path) -> None:
        before = image_key(RECIPE, DEFAULTS)
        (tracers / "bcc" / "kernel.c").write_text("int x;\n")
        (tracers / "bcc" / "__pycache__").mkdir()
        (tracers / "bcc" / "__pycache__" / "run.cpython-311.pyc").write_bytes(b"x")
        assert image_key(RECIPE, DEFAULTS) == before

    def test_what_is_written_about_tracers_makes_no_other_image(self, tracers: Path) -> None:
        before = image_key(RECIPE, DEFAULTS)
        (tracers / "README.md").write_text("The contract.\n")
        (tracers / "bcc" / "NOTES.md").write_text("Notes.\n")
        assert image_key(RECIPE, DEFAULTS) == before
        (tracers / "README.md").write_text("The contract, once more.\n")
        assert image_key(RECIPE, DEFAULTS) == before

    def test_the_place_of_the_sources_makes_no_other_image(
        self, tracers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = image_key(RECIPE, DEFAULTS)
        moved = tracers.rename(tmp_path / "elsewhere")
        monkeypatch.setattr(libraries, "TRACERS", moved)
        assert image_key(RECIPE, DEFAULTS) == before


class TestBootstrap:
    def words(self, sources: Sources = DEFAULTS) -> tuple[str, ...]:
        return bootstrap_argv(RECIPE, sources, Path("/cache/roots/mine.partial/root"))

    def test_suite_and_place_come_last(self) -> None:
        assert self.words()[-2:] == ("trixie", "/cache/roots/mine.partial/root")

    def test_every_package_is_asked_for(self) -> None:
        assert "--include=fio,clang" in self.words()

    def test_a_suite_and_a_mirror_can_be_handed_in(self) -> None:
        words = self.words(Sources(mirror="http://mirror.example/debian", suite="sid"))
        assert words[-3:] == ("sid", "/cache/roots/mine.partial/root", "http://mirror.example/debian")

    def test_a_ca_bundle_can_be_handed_in_whatever_its_name(self) -> None:
        words = self.words(Sources(ca_bundle="/srv/me/my ca.pem"))
        assert '--aptopt=Acquire::https::CaInfo "/srv/me/my ca.pem"' in words
        assert not any("CaInfo" in word for word in self.words())

    @pytest.mark.parametrize("recipe", [*map(recipe_of, IMAGES)], ids=lambda recipe: recipe.name)
    def test_every_version_that_is_shown_is_of_a_package_that_is_installed(self, recipe: Recipe) -> None:
        assert set(recipe.shown.values()) <= set(recipe.packages)
        assert {"bpftrace", "python3-bpfcc", "libbpf-dev", "clang", "bpftool", "fio"} <= set(recipe.packages)


class TestCache:
    def test_an_unknown_image_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(UsageError) as caught:
            recipe_of("sidd")
        assert caught.value.message == "image 'sidd' is not one of: trixie"

    def test_an_image_that_is_not_built_is_not_found(self, tmp_path: Path) -> None:
        assert image.find(tmp_path / "cache", "trixie", DEFAULTS) is None
        assert image.built(tmp_path / "cache") == ()

    def test_an_image_is_found_by_what_it_is_made_of(self, tmp_path: Path) -> None:
        key = image_key(recipe_of("trixie"), DEFAULTS)
        made = built_image(tmp_path, "trixie", key, "2026-01-02T03:04:05Z")
        assert image.find(tmp_path, "trixie", DEFAULTS) == made
        assert image.find(tmp_path, "trixie", Sources(suite="sid")) is None

    def test_an_image_that_is_built_is_not_built_again(self, tmp_path: Path) -> None:
        key = image_key(recipe_of("trixie"), DEFAULTS)
        made = built_image(tmp_path, "trixie", key, "2026-01-02T03:04:05Z")
        assert image.build(tmp_path, "trixie", DEFAULTS, lambda *_: pytest.fail("it builds")) == made

    def test_images_of_older_recipes_are_listed_too_newest_first(self, tmp_path: Path) -> None:
        old = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")
        new = built_image(tmp_path, "trixie", "1" * 16, "2026-03-02T03:04:05Z")
        assert image.built(tmp_path) == (new, old)

    @pytest.mark.parametrize("name", ["trixie-0123.partial", "trixie-0123"])
    def test_what_a_broken_build_left_is_no_image(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "images" / name / "tracers").mkdir(parents=True)
        assert image.built(tmp_path) == ()

    def test_an_image_has_the_setups_whose_tracer_is_in_it(self, tmp_path: Path) -> None:
        made = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")
        (Path(made.tracers) / "libbpf").mkdir()
        assert made.setups == ("bcc",)

    def test_an_image_of_any_key_is_found_by_it(self, tmp_path: Path) -> None:
        old = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")
        new = built_image(tmp_path, "trixie", "1" * 16, "2026-03-02T03:04:05Z")
        assert image.with_key(tmp_path, "0" * 16) == old
        assert image.with_key(tmp_path, "1" * 16) == new
        assert image.with_key(tmp_path, "2" * 16) is None


class TestRemove:
    @pytest.fixture(autouse=True)
    def root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever runs the tests owns the files of its images."""
        monkeypatch.setattr("os.geteuid", lambda: 0)

    def test_a_root_goes_with_the_last_image_that_uses_it(self, tmp_path: Path) -> None:
        old = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")
        new = built_image(tmp_path, "trixie", "1" * 16, "2026-03-02T03:04:05Z")
        image.remove(tmp_path, new)
        assert image.built(tmp_path) == (old,)
        assert Path(old.root).is_dir()
        image.remove(tmp_path, old)
        assert [path.name for path in (tmp_path / "images").iterdir()] == []
        assert [path.name for path in (tmp_path / "roots").iterdir()] == []

    def test_an_interruption_leaves_nothing_that_looks_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")

        def interrupted(_: Sequence[str]) -> Finished:
            assert not Path(made.tracers).exists(), "deleted in place"
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(command, "run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                image.remove(tmp_path, made)
        assert image.built(tmp_path) == ()
        assert [path.name for path in (tmp_path / "images").iterdir()] == [f"trixie-{'0' * 16}.partial"]
        again = built_image(tmp_path, "trixie", "0" * 16, "2026-03-02T03:04:05Z")
        image.remove(tmp_path, again)
        assert list((tmp_path / "images").iterdir()) == []

    def test_what_cannot_be_deleted_is_told_with_the_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = built_image(tmp_path, "trixie", "0" * 16, "2026-01-02T03:04:05Z")
        monkeypatch.setattr(command, "run", lambda _: Finished(1, "rm: cannot remove 'x': Device or resource busy\n"))
        with pytest.raises(ImageError, match=r"could not be deleted: rm: cannot remove 'x': Device or resource busy$"):
            image.remove(tmp_path, made)
