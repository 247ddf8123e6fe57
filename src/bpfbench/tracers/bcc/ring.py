# SPDX-License-Identifier: Apache-2.0
"""What the tools at the hooks of reads and writes have in common: the ring, and where its events have gone."""

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping

from kernel import member_offsets
from load import load, target_macros
from summary import Account
from tool import Tool

Consumer = Callable[[object, int, int], int]
"""BCC calls it for each event, with the address of the slot in the ring, which it frees on return, and its size."""


class RingTool(Tool):
    def load(self, source: str, macros: Mapping[str, int]) -> None:
        """Compile, load and attach the tool's part with the hooks."""
        self.bpf = load(
            [source, "hooks.c"],
            {
                f"ATTACH_{self.options.attach.upper()}": 1,
                "RING_PAGES": self.options.ringbuf_bytes // os.sysconf("SC_PAGE_SIZE"),
                **macros,
                **target_macros(self.options.target_comm),
                **member_offsets(),
            },
        )
        # Under load ring_buffer_poll() may never find the ring empty, so it takes the verdict to end it. Without an
        # integer to return, BCC would raise and catch a TypeError at each event.
        self.bpf["events"].open_ring_buffer(self.consumer())

    @abstractmethod
    def consumer(self) -> Consumer:
        """What puts out an event, and returns the verdict of `stop`."""

    def follow(self) -> None:
        """A signal ends the wait, except in the instant between the check and the wait: then the time-out does.

        BCC does not tell whether a wait timed out or was interrupted; the clock does.
        """
        poll_ns = self.options.poll_ms * 1_000_000
        while not self.stop.requested:
            taken = self.output.taken
            until_ns = time.monotonic_ns() + poll_ns
            self.bpf.ring_buffer_poll(self.options.poll_ms)
            if self.output.taken == taken and time.monotonic_ns() >= until_ns:
                self.output.flush()

    def drain(self) -> None:
        """An output error ends ring_buffer_consume() early, hence the loop."""
        taken = -1
        while self.output.taken != taken:
            taken = self.output.taken
            self.stop.verdict = 0
            self.bpf.ring_buffer_consume()

    def account(self) -> Account:
        cpus = self.bpf["counters"][0]
        misses = self.recursion_misses()
        return Account(
            intercepted={
                kind: sum(cpu.intercepted[op] for cpu in cpus)
                + sum(missed for name, missed in (misses or {}).items() if kind in name)
                for op, kind in enumerate(("read", "write"))
            },
            saved=self.output.saved,
            bytes=self.output.bytes,
            ring_full=sum(cpu.ring_full for cpu in cpus),
            map_full=sum(cpu.map_full for cpu in cpus),
            recursion=None if misses is None else sum(misses.values()),
            missed=None if self.options.attach == "kprobe" else 0,
            output_error=self.output.lost,
        )
