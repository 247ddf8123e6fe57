# SPDX-License-Identifier: Apache-2.0
"""Where a tracer's programs hang and what its rings passed on is what the kernel tells of those that are new."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf
from bpfbench.inside.kernel.bpf import Attachment, attachments
from bpfbench.inside.leftovers import RING_BUFFERS, TRACING_PROGRAMS, Inventory
from bpfbench.inside.trial import attached
from bpfbench.inside.trial.attached import hooks, rings
from bpfbench.model import Hook, RingAccount

PID = 4242
TRACING, RAW, PERF, XDP = 2, 1, 7, 6
"""enum bpf_link_type."""


def told(*words: int, name: str = "", at: int = 0) -> tuple[tuple[int, ...], str, int]:
    """Words of struct bpf_link_info from its type on, and the name whose address belongs at the word `at`."""
    return words, name, at


@dataclass
class FakeKernel:
    """Answers bpf(2) about links by their struct bpf_link_info."""

    links: dict[int, tuple[tuple[int, ...], str, int]] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    opened: dict[int, int] = field(default_factory=dict)

    def call(self, command: int, attr: ctypes.Array[ctypes.c_uint32]) -> int:
        answers = {31: self.next_id, 30: self.open, 15: self.info}
        return answers[command](attr)

    def fail(self, code: int) -> int:
        raise OSError(code, os.strerror(code))

    def next_id(self, attr: ctypes.Array[ctypes.c_uint32]) -> int:
        later = [number for number in sorted(self.links) if number > attr[0]]
        if not later:
            return self.fail(errno.ENOENT)
        attr[1] = later[0]
        return 0

    def open(self, attr: ctypes.Array[ctypes.c_uint32]) -> int:
        if attr[0] in self.gone:
            return self.fail(errno.ENOENT)
        fd = os.open("/dev/null", os.O_RDONLY)
        self.opened[fd] = attr[0]
        return fd

    def info(self, attr: ctypes.Array[ctypes.c_uint32]) -> int:
        fd, size, low, high = attr
        words, name, at = self.links[self.opened[fd]]
        info = (ctypes.c_uint32 * (size // 4)).from_address(low | high << 32)
        address, room = info[at] | info[at + 1] << 32, info[at + 2]
        info[: len(words)] = list(words)
        if name and address:
            ctypes.memmove(address, name.encode()[: room - 1] + b"\0", min(len(name) + 1, room))
        return 0


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKernel]:
    fake = FakeKernel()
    monkeypatch.setattr(bpf, "call", fake.call)
    monkeypatch.setattr(bpf, "perf_programs", lambda *_: iter(()))
    before = open_files()
    yield fake
    assert open_files() == before


class TestLinks:
    """Numbers are those of include/uapi/linux/bpf.h."""

    @pytest.mark.parametrize(
        ("link", "kind", "target"),
        [
            (told(TRACING, 1, 7, 0, 24, 1, 5678), "fentry", "5678"),
            (told(TRACING, 1, 7, 0, 25, 1, 5678), "fexit", "5678"),
            (told(TRACING, 1, 7, 0, 26, 1, 5678), "fmod-ret", "5678"),
            (told(TRACING, 1, 7, 0, 99, 1, 5678), "tracing 99", "5678"),
            (told(RAW, 1, 7, 0, name="sys_enter", at=4), "raw-tracepoint", "sys_enter"),
            (told(PERF, 1, 7, 0, 3, 0, name="vfs_read", at=6), "kprobe", "vfs_read"),
            (told(PERF, 1, 7, 0, 4, 0, name="vfs_read", at=6), "kretprobe", "vfs_read"),
            (told(PERF, 1, 7, 0, 5, 0, name="sys_enter_read", at=6), "tracepoint", "sys_enter_read"),
            (told(PERF, 1, 7, 0, 99, 0, name="x", at=6), "perf 99", "x"),
        ],
    )
    def test_each_kind_names_what_it_is_for(
        self, kernel: FakeKernel, link: tuple[tuple[int, ...], str, int], kind: str, target: str
    ) -> None:
        kernel.links[1] = link
        assert attachments(frozenset({7}), PID) == {Attachment(7, kind, target)}

    def test_those_of_other_programs_and_of_other_kinds_are_passed_over(self, kernel: FakeKernel) -> None:
        kernel.links = {
            1: told(TRACING, 1, 8, 0, 24, 1, 5678),
            2: told(XDP, 2, 7, 0, 24, 1, 5678),
            3: told(TRACING, 3, 7, 0, 25, 1, 5678),
        }
        assert attachments(frozenset({7}), PID) == {Attachment(7, "fexit", "5678")}
        assert attachments(frozenset(), PID) == frozenset()

    def test_one_that_has_gone_meanwhile_is_passed_over(self, kernel: FakeKernel) -> None:
        kernel.links = {number: told(TRACING, number, 7, 0, 24, 1, number) for number in (1, 2)}
        kernel.gone = frozenset({1})
        assert attachments(frozenset({7}), PID) == {Attachment(7, "fentry", "2")}

    def test_one_that_an_older_kernel_does_not_name_is_left_to_the_event(
        self, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kernel.links[1] = told(PERF, 1, 7)
        assert attachments(frozenset({7}), PID) == frozenset()
        event = Attachment(7, "kprobe", "vfs_read")
        monkeypatch.setattr(bpf, "perf_programs", lambda *_: iter(((5, event),)))
        assert attachments(frozenset({7}), PID) == {event}

    def test_without_privileges_it_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> int:
            raise PermissionError(errno.EPERM, "refused")

        monkeypatch.setattr(bpf, "call", refuse)
        with pytest.raises(PermissionError):
            attachments(frozenset({7}), PID)


class TestHooks:
    BEFORE: Inventory = {TRACING_PROGRAMS: frozenset({"1", "2"}), RING_BUFFERS: frozenset({"31"})}  # noqa: RUF012 - never changed

    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch) -> set[Attachment]:
        """What is attached, of programs 1 to 4, of which two are new."""
        found: set[Attachment] = set()

        def those_of(programs: frozenset[int], pid: int) -> frozenset[Attachment]:
            assert pid == PID
            return frozenset(one for one in found if one.program in programs)

        monkeypatch.setattr(bpf, "tracing_programs", lambda: frozenset({1, 2, 3, 4}))
        monkeypatch.setattr(bpf, "attachments", those_of)
        monkeypatch.setattr(bpf, "program_name", lambda program: f"program{program}")
        return found

    def test_new_programs_count_alone_in_order(self, found: set[Attachment]) -> None:
        found |= {Attachment(n, "tracepoint", f"sys_enter_{call}") for n in (1, 4, 3) for call in ("write", "read")}
        assert hooks(self.BEFORE, PID) == tuple(
            Hook("tracepoint", f"sys_enter_{call}", f"program{n}") for call in ("read", "write") for n in (3, 4)
        )

    def test_functions_are_named_as_the_kernels_btf_numbers_them(
        self, found: set[Attachment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "vmlinux").write_bytes(b"")
        monkeypatch.setattr(attached, "BTF", tmp_path / "vmlinux")
        names = {501: "vfs_read", 502: "vfs_write"}
        monkeypatch.setattr(attached, "function_names", lambda _, wanted: {n: names[n] for n in wanted & names.keys()})
        found |= {Attachment(3, "fentry", "501"), Attachment(3, "fexit", "502"), Attachment(4, "fexit", "999")}
        assert hooks(self.BEFORE, PID) == (
            Hook("fentry", "vfs_read", "program3"),
            Hook("fexit", "999", "program4"),
            Hook("fexit", "vfs_write", "program3"),
        )

    def test_nothing_attached_is_nothing(self, found: set[Attachment]) -> None:
        assert not found
        assert hooks(self.BEFORE, PID) == ()


@dataclass
class FakeRing:
    number: int
    produced: int = 0
    consumed: int = 0
    is_open: bool = False

    def __enter__(self) -> FakeRing:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


class TestRings:
    BEFORE = TestHooks.BEFORE

    @pytest.fixture
    def mapped(self, monkeypatch: pytest.MonkeyPatch) -> dict[int, FakeRing]:
        """A ring of somebody else's, and those that are mapped."""
        mapped: dict[int, FakeRing] = {}

        def mapping(number: int) -> FakeRing:
            if number == 99:
                raise StepError("the ring cannot be watched: Permission denied")
            return mapped.setdefault(number, FakeRing(number))

        monkeypatch.setattr(attached, "Ring", mapping)
        monkeypatch.setattr(bpf, "ring_buffers", lambda: {31: 4096, 33: 8192, 32: 262144})
        return mapped

    def test_new_ones_are_told_with_what_went_through_them(self, mapped: dict[int, FakeRing]) -> None:
        with rings(self.BEFORE) as account:
            assert account() == (RingAccount(262144, 0, 0), RingAccount(8192, 0, 0))
            mapped[32].produced, mapped[32].consumed = 1680, 168
            assert account()[0] == RingAccount(262144, produced_bytes=1680, consumed_bytes=168)
            assert set(mapped) == {32, 33}
            assert all(ring.is_open for ring in mapped.values())
        assert not any(ring.is_open for ring in mapped.values())

    def test_where_one_cannot_be_mapped_none_stays_so(
        self, mapped: dict[int, FakeRing], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bpf, "ring_buffers", lambda: {32: 4096, 99: 4096})
        with pytest.raises(StepError, match="cannot be watched"), rings(self.BEFORE):
            pass
        assert [ring.is_open for ring in mapped.values()] == [False]

    def test_a_tracer_without_a_ring_has_none(
        self, mapped: dict[int, FakeRing], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bpf, "ring_buffers", lambda: {31: 4096})
        with rings(self.BEFORE) as account:
            assert account() == ()
        assert not mapped
