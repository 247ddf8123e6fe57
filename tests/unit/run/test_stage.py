# SPDX-License-Identifier: Apache-2.0
"""A stage checks, waits for its turn, builds, opens, and leaves nothing; what comes on it finds it whole."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_brought, make_executable, make_image
from rich.console import Console

from bpfbench import catalogue
from bpfbench.declare import study
from bpfbench.errors import MachineError, StudyError
from bpfbench.machine import turn
from bpfbench.machine.command import Finished
from bpfbench.model import Attach, Paths, Sources, Study
from bpfbench.run import stage
from bpfbench.run.stage import Means, Stage, foreseen
from bpfbench.testbed.base import Ground, Testbed, Venue
from bpfbench.testbed.image import Image
from bpfbench.testbed.job import Job

SMOKE = study.load(study.find("smoke"))
LIBBPF = replace(SMOKE, factors=replace(SMOKE.factors, setups=("libbpf",), attach=(Attach.AUTO,)))


class Noted(Testbed):
    """Notes what becomes of it."""

    hooks = frozenset({Attach.TRACEPOINT})
    facts: dict[str, Any] = {}  # noqa: RUF012 - of none

    def __init__(self, ground: Ground, done: list[str]) -> None:
        super().__init__(ground.image, ground.data_dir, ground.output_dir, ground.study.setups)
        self._done = done

    def inside(self, job: Job, on_line: Callable[[str], None]) -> Finished:
        raise AssertionError((job, on_line))

    def discard_outputs(self) -> None:
        self._done.append("discard outputs")

    def close(self, *, at_once: bool = False) -> None:
        self._done.append("close at once" if at_once else "close")


@pytest.fixture
def done() -> list[str]:
    """What was done, in order."""
    return []


@pytest.fixture
def lacks() -> list[str]:
    """What the machine lacks."""
    return []


@pytest.fixture(autouse=True)
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: list[str], lacks: list[str]) -> None:
    """A testbed in place of the host's, which notes what is done; its image has libbpf."""
    (tmp_path / "tracers" / "libbpf").mkdir(parents=True)
    (tmp_path / "tracers" / "libbpf" / "tracer").touch()

    def check() -> None:
        done.append("check")
        for lack in lacks:
            raise MachineError(lack)

    def build(*_: object) -> Image:
        done.append("build")
        return make_image(tracers=str(tmp_path / "tracers"))

    def make(ground: Ground) -> Noted:
        done.append("make")
        return Noted(ground, done)

    monkeypatch.setitem(stage.VENUES, "host", Venue(check, lambda: Noted.hooks, make, build))


@pytest.fixture
def means(tmp_path: Path) -> Means:
    return Means(tmp_path / "cache", Sources(), Console(file=io.StringIO()))


def test_it_is_set_in_order_and_left_with_nothing(means: Means, done: list[str]) -> None:
    with Stage(LIBBPF, means) as found:
        assert done == ["check", "build", "make", "discard outputs"]
        assert found.testbed.data_dir == means.cache / "data"
        with pytest.raises(MachineError, match="another bpfbench is measuring"), turn.alone():
            pytest.fail("the machine is not ours")
    assert done[4:] == ["close"]
    with turn.alone():
        pass


def test_what_fails_on_it_closes_it_at_once(means: Means, done: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), Stage(LIBBPF, means):
        raise ZeroDivisionError
    assert done[-1] == "close at once"
    with turn.alone():
        pass


def test_a_machine_that_lacks_something_is_left_alone(means: Means, done: list[str], lacks: list[str]) -> None:
    lacks.append("BTF")
    with pytest.raises(MachineError, match="BTF"), Stage(LIBBPF, means):
        pytest.fail("it was set")
    assert done == ["check"]
    assert not means.cache.exists()


def test_while_another_measures_nothing_is_built(means: Means, done: list[str]) -> None:
    with turn.alone(), pytest.raises(MachineError, match="another bpfbench is measuring"):
        Stage(LIBBPF, means).__enter__()
    assert done == ["check"]


def test_one_that_waits_builds_after_its_turn_has_come(means: Means, done: list[str]) -> None:
    waiting, entered = threading.Event(), threading.Event()

    def second() -> None:
        with Stage(LIBBPF, replace(means, on_wait=lambda _: waiting.set())):
            entered.set()

    thread = threading.Thread(target=second)
    with turn.alone():
        thread.start()
        assert waiting.wait(30)
        assert done == ["check"]
    assert entered.wait(30)
    thread.join(30)
    assert done[1:] == ["build", "make", "discard outputs", "close"]


def test_a_run_that_goes_on_brings_its_own_image(means: Means, done: list[str]) -> None:
    image = make_image(key="f" * 16, tracers=str(means.cache.parent / "tracers"))
    with Stage(LIBBPF, means, image=lambda _: image) as found:
        assert found.testbed.image == image
    assert "build" not in done


class TestTracers:
    def test_an_image_without_one_is_refused(self, means: Means, done: list[str]) -> None:
        lacking = replace(LIBBPF, factors=replace(LIBBPF.factors, setups=("libbpf", "bcc")))
        with pytest.raises(MachineError, match=r"^image trixie has no tracer for: bcc$"), Stage(lacking, means):
            pytest.fail("it was set")
        assert done[-1] == "close at once"

    def test_an_image_need_not_have_what_the_study_brings(self, means: Means, tmp_path: Path) -> None:
        own = make_brought("own", (str(make_executable(tmp_path / "mine" / "tracer")),))
        with Stage(self.bringing(own, "libbpf"), means) as found:
            assert found.testbed.setups == {"libbpf", "own"}
        with pytest.raises(MachineError, match="no tracer for: bcc"), Stage(self.bringing(own, "bcc"), means):
            pytest.fail("it was set")

    def bringing(self, own: Any, other: str) -> Study:
        return replace(LIBBPF, setups=(own,), factors=replace(LIBBPF.factors, setups=("own", other)))


class TestHooks:
    def test_auto_is_what_is_there(self, means: Means) -> None:
        assert foreseen(LIBBPF).factors.attach == (Attach.TRACEPOINT,)
        with Stage(LIBBPF, means) as found:
            assert found.study == foreseen(LIBBPF)

    def test_where_it_cannot_be_told_yet_it_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(stage.VENUES, "host", replace(stage.VENUES["host"], hooks=frozenset))
        assert foreseen(LIBBPF) == LIBBPF

    def test_one_that_is_lacking_is_refused(self, means: Means, done: list[str]) -> None:
        wanting = replace(LIBBPF, factors=replace(LIBBPF.factors, attach=(Attach.FENTRY,)))
        with pytest.raises(StudyError, match="attach fentry: the kernel lacks it; it has: tracepoint"):
            foreseen(wanting)
        with pytest.raises(StudyError, match="attach fentry"), Stage(wanting, means):
            pytest.fail("it was set")
        assert done[-1] == "close at once"


def test_every_testbed_of_the_catalogue_has_a_kind() -> None:
    assert {*stage.VENUES, "cluster"} == set(catalogue.TESTBEDS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is in danger")
@pytest.mark.parametrize("option", ["--data-dir", "--output-dir"])
@pytest.mark.parametrize("below", ["", "new", "new/deeper"])
def test_root_uses_no_directory_that_others_can_put_links_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, below: str
) -> None:
    opened: list[str] = []
    venue = Venue(lambda: None, frozenset, lambda ground: Noted(ground, opened), lambda *_: make_image())
    monkeypatch.setitem(stage.VENUES, "host", venue)
    anybodys = tmp_path / "anybodys"
    anybodys.mkdir()
    anybodys.chmod(0o777)
    place = str(anybodys / below)
    paths = Paths(data=place) if option == "--data-dir" else Paths(output=place)
    means = Means(tmp_path, Sources(), Console(file=io.StringIO()))
    with (
        pytest.raises(MachineError, match=f"^{anybodys}: can be written to by others") as caught,
        Stage(replace(LIBBPF, paths=paths), means),
    ):
        pytest.fail("it was used")
    assert caught.value.hint == f"choose another directory: {option}"
    assert opened == []
