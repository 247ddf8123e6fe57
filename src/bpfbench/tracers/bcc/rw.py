# SPDX-License-Identifier: Apache-2.0
"""rw-tracer and rw-tracer-all: from the ring into the file."""

import os
import time
from collections.abc import Callable
from ctypes import c_char

from choice import BY_EVENT
from kernel import member_offsets
from load import load, target_macros
from options import Options
from output import Output
from record import EVENT, fields_line, fields_payload_line, formatter
from stop import Stop
from summary import Account
from tool import Tool


class RwTracer(Tool):
    def __init__(self, options: Options, output: Output, stop: Stop) -> None:
        super().__init__(options, output, stop)
        self._payload_bytes = options.payload_bytes if options.tool == "rw-tracer-all" else 0

    def attach(self) -> None:
        self.bpf = load(
            "rw.c",
            {
                f"ATTACH_{self.options.attach.upper()}": 1,
                "PAYLOAD_BYTES": self._payload_bytes,
                "RING_PAGES": self.options.ringbuf_bytes // os.sysconf("SC_PAGE_SIZE"),
                **target_macros(self.options.target_comm),
                **member_offsets(),
            },
        )
        self._open_ring()

    def _open_ring(self) -> None:
        # BCC calls this for each event, with the address of the slot in the ring, which it frees on return. Under load
        # ring_buffer_poll() may never find the ring empty, so it takes the verdict to end it. Without an integer to
        # return, BCC would raise and catch a TypeError at each event.
        on_event = self._take_by_event() if BY_EVENT else self._take_in_place()
        self.bpf["events"].open_ring_buffer(on_event)

    def _take_in_place(self) -> Callable[[object, int, int], int]:
        # Names of the closure, as looking up attributes of self would cost time at every event.
        slot_at = (c_char * (EVENT.size + self._payload_bytes)).from_address
        record = formatter(self.options.format, self._payload_bytes)
        put = self.output.put
        stop = self.stop

        def on_event(_context: object, address: int, _size: int) -> int:
            put(record(slot_at(address)))
            return stop.verdict

        return on_event

    def _take_by_event(self) -> Callable[[object, int, int], int]:
        """As the callbacks of BCC's reference guide and tools do."""
        bpf = self.bpf
        line = fields_payload_line if self._payload_bytes else fields_line
        put = self.output.put
        stop = self.stop

        def on_event(_context: object, address: int, _size: int) -> int:
            put(line(bpf["events"].event(address), address))
            return stop.verdict

        return on_event

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
