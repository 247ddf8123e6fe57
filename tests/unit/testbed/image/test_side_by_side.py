# SPDX-License-Identifier: Apache-2.0
"""Layers are built side by side, in the order of their needs; one that fails, or Ctrl-C, ends all, cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.errors import ImageError
from bpfbench.testbed.image import side_by_side
from bpfbench.testbed.image.layers import Site
from bpfbench.testbed.image.side_by_side import BUILD_BYTES, Build, build, workers

Make = Callable[[Site], None]


def note(place: list[str]) -> Make:
    """Build nothing, and note whose turn it was."""
    return lambda site: place.append(site.partial.name.removesuffix(".partial"))


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are built at a time, whatever this machine has; and whoever runs the tests owns what is built."""
    monkeypatch.setattr(side_by_side, "workers", lambda *_: 2)
    monkeypatch.setattr("os.geteuid", lambda: 0)


def silent(what: str, share: float) -> None:
    """Nobody looks."""


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


class TestOrder:
    def test_what_does_not_need_one_another_is_built_at_once(self, tmp_path: Path) -> None:
        together = threading.Barrier(2, timeout=10)
        said: list[str] = []
        builds = [Build(tmp_path / name, name, lambda _: (together.wait(), None)[1]) for name in ("a", "b")]
        build(builds, lambda what, _: said.append(what))
        assert left(tmp_path) == ["a", "b"]
        assert "building a, b" in said

    def test_no_more_than_there_is_room_for(self, tmp_path: Path) -> None:
        running: list[int] = []
        most: list[int] = []

        def make(_: Site) -> None:
            running.append(1)
            most.append(len(running))
            threading.Event().wait(0.01)
            running.pop()

        build([Build(tmp_path / str(number), "x", make) for number in range(6)], silent)
        assert max(most) <= 2

    def test_a_layer_comes_after_those_it_needs_and_what_is_there_is_not_built(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        order: list[str] = []
        needs = {"c": ("b", "there"), "b": ("a",), "a": ("there",), "there": ()}
        builds = [
            Build(tmp_path / name, name, note(order), needs=[tmp_path / need for need in needed])
            for name, needed in needs.items()
        ]
        build(builds, silent)
        assert order == ["a", "b", "c"]

    def test_what_most_is_waiting_for_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(side_by_side, "workers", lambda *_: 1)
        order: list[str] = []
        builds = [
            Build(tmp_path / "short", "short", note(order), seconds=1),
            Build(tmp_path / "long", "long", note(order), seconds=20),
            Build(tmp_path / "linker", "linker", note(order), seconds=5),
            Build(tmp_path / "linked", "linked", note(order), needs=[tmp_path / "linker"], seconds=30),
        ]
        build(builds, silent)
        assert order == ["linker", "linked", "long", "short"]

    @pytest.mark.parametrize(("cpus", "gib", "expected"), [(2, 24, 2), (64, 16, 8), (8, 3, 1), (1, 64, 1), (4, 0, 1)])
    def test_so_many_at_a_time_as_there_are_cpus_and_memory(self, cpus: int, gib: int, expected: int) -> None:
        assert workers(cpus, gib * 2**30) == expected
        assert BUILD_BYTES == 2 * 2**30


class TestProgress:
    def test_it_never_goes_back_and_shows_all_that_are_being_built(self, tmp_path: Path) -> None:
        together = threading.Barrier(2, timeout=10)
        said: list[tuple[str, float]] = []

        def make(site: Site) -> None:
            together.wait()
            site.tell("half done", 0.5)
            together.wait()

        builds = [Build(tmp_path / name, name, make, seconds=10) for name in ("a", "b")]
        build(builds, lambda what, share: said.append((what, share)))
        assert [share for _, share in said] == sorted(share for _, share in said)
        assert said[-1] == ("building a (half done), b (half done)", 0.5)


class TestEnd:
    def test_one_that_fails_ends_the_others_and_is_the_one_that_is_told(self, tmp_path: Path) -> None:
        begun = threading.Event()

        def sleep(site: Site) -> None:
            site.run(("sh", "-c", "echo begun; exec sleep 1000"), "sleeper", lambda _: begun.set())

        def fail(site: Site) -> None:
            assert begun.wait(10)
            site.run(("sh", "-c", "echo no such thing; exit 3"), "broken")

        with pytest.raises(ImageError, match=r"^broken could not be built") as caught:
            build([Build(tmp_path / "sleeper", "sleeper", sleep), Build(tmp_path / "broken", "broken", fail)], silent)
        assert caught.value.hint == f"see {tmp_path / 'broken.failed.log'}"
        assert left(tmp_path) == ["broken.failed.log"]

    def test_what_would_come_next_does_not_begin(self, tmp_path: Path) -> None:
        order: list[str] = []

        def fail(site: Site) -> None:
            site.run(("false",), "broken")

        builds = [
            Build(tmp_path / "broken", "broken", fail, seconds=9),
            Build(tmp_path / "after", "after", note(order), needs=[tmp_path / "broken"]),
        ]
        with pytest.raises(ImageError):
            build(builds, silent)
        assert order == []

    def test_ctrl_c_ends_all_and_leaves_nothing(self, tmp_path: Path) -> None:
        both = threading.Barrier(2, lambda: signal.pthread_kill(main, signal.SIGINT), timeout=10)
        main = threading.main_thread().ident or 0

        def sleep(site: Site) -> None:
            site.run(("sh", "-c", "echo begun; exec sleep 1000"), "sleeper", lambda _: (both.wait(), None)[1])

        with pytest.raises(KeyboardInterrupt):
            build([Build(tmp_path / name, name, sleep) for name in ("a", "b")], silent)
        assert left(tmp_path) == []
