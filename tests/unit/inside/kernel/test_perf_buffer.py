# SPDX-License-Identifier: Apache-2.0
"""A perf buffer of another process is seen through its event: its size, and how far each side has come."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.kernel import bpf, perf, perf_buffer

PAGE = mmap.PAGESIZE
SOFTWARE, BPF_OUTPUT = 1, 10
"""enum perf_type_id, and enum perf_sw_ids."""


def test_both_positions_are_in_the_first_page(tmp_path: Path) -> None:
    page = bytearray(2 * PAGE)
    page[1024:1040] = (4096).to_bytes(8, "little") + (4000).to_bytes(8, "little")
    (tmp_path / "buffer").write_bytes(page)
    with (tmp_path / "buffer").open("rb") as file, perf_buffer.PerfBuffer(file.fileno(), PAGE) as own:
        assert (own.bytes, own.produced, own.consumed) == (PAGE, 4096, 4000)


@pytest.fixture
def events() -> Iterator[tuple[int, int]]:
    try:
        opened = perf.open_event(SOFTWARE, 0, BPF_OUTPUT), perf.open_event(SOFTWARE, 0, BPF_OUTPUT)
    except OSError as error:
        pytest.skip(f"perf events cannot be opened: {error.strerror}")
    yield opened
    for fd in opened:
        os.close(fd)


def test_those_that_a_process_has_mapped_are_found_once_and_events_of_programs_left_alone(
    events: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    event, attached = events
    program = bpf.Attachment(7, "tracepoint", "sys_enter_read")
    monkeypatch.setattr(bpf, "perf_programs", lambda _: iter(((attached, program),)))
    assert list(perf_buffer.buffers_of(os.getpid())) == []
    with mmap.mmap(event, 9 * PAGE):  # which has a descriptor of its own
        (found,) = perf_buffer.buffers_of(os.getpid())
        with found:
            assert (found.bytes, found.produced, found.consumed) == (8 * PAGE, 0, 0)


def test_one_that_cannot_be_mapped_is_told(events: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("refused")

    with mmap.mmap(events[0], 9 * PAGE):
        monkeypatch.setattr(perf_buffer.PerfBuffer, "__init__", refuse)
        with pytest.raises(StepError, match="a perf buffer cannot be watched"):
            list(perf_buffer.buffers_of(os.getpid()))


@pytest.mark.usefixtures("events")
def test_descriptors_of_our_own_are_of_the_same_events() -> None:
    before = bpf.perf_events_of(os.getpid())
    own = list(perf_buffer.events_of(os.getpid()))
    assert len(own) == before
    assert bpf.perf_events_of(os.getpid()) == 2 * before
    for fd in own:
        os.close(fd)
