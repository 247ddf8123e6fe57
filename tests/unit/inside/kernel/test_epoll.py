# SPDX-License-Identifier: Apache-2.0
"""What a process waits for by edges is told by the kernel, apart from what it waits for by level."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from bpfbench.inside.kernel import epoll


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_edges_are_told_from_levels(pipe: tuple[int, int]) -> None:
    outlet, inlet = pipe
    with select.epoll() as one, select.epoll() as other:
        one.register(outlet, select.EPOLLIN)
        other.register(inlet, select.EPOLLOUT)
        before = epoll.edge_triggered(os.getpid())
        other.modify(inlet, select.EPOLLOUT | select.EPOLLET)
        assert epoll.edge_triggered(os.getpid()) - before == {inlet}
        other.register(outlet, select.EPOLLIN | select.EPOLLET)
        assert epoll.edge_triggered(os.getpid()) - before == {inlet, outlet}
