# SPDX-License-Identifier: Apache-2.0
"""What the tools at the hooks of reads and writes have in common: the ring, and where its events have gone.

With --buffer perf there are perf buffers in its place, one of each CPU.
"""

import ctypes
import os
import select
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping

import bcc
import bcc.utils
from kernel import member_offsets
from load import load, target_macros
from options import ONE_EACH_CPU
from summary import Account
from tool import Tool

Consumer = Callable[[object, int, int], int]
"""BCC calls it for each event, with the address of the slot in the ring, which it frees on return, and its size."""


class RingTool(Tool):
    def load(self, source: str, macros: Mapping[str, int]) -> None:
        """Compile, load and attach the tool's part with the hooks."""
        possible_cpus = len(bcc.utils.get_possible_cpus())
        count = possible_cpus if self.options.rings == ONE_EACH_CPU else self.options.rings
        # [snippet rings]
        others = [f"events_{number}" for number in range(1, count)]
        # [end rings]
        self.bpf = load(
            # [snippet rings]
            "".join(f"BPF_RINGBUF_OUTPUT({name}, RING_PAGES);\n" for name in others),
            # [end rings]
            [source, "hooks.c"],
            {
                f"ATTACH_{self.options.attach.upper()}": 1,
                # [snippet ringbuf_bytes]
                "RING_PAGES": self.options.ringbuf_bytes // os.sysconf("SC_PAGE_SIZE"),
                # [end ringbuf_bytes]
                **macros,
                **self._knobs(count),
                **target_macros(self.options.target_comm),
                **member_offsets(),
            },
        )
        # Under load ring_buffer_poll() may never find the ring empty, so it takes the verdict to end it. Without an
        # integer to return, BCC would raise and catch a TypeError at each event.
        consumer = self.consumer()
        self._poll, self._consume = self.bpf.ring_buffer_poll, self.bpf.ring_buffer_consume
        if self.options.buffer == "perf":
            self._open_perf_buffers(consumer)
            return
        # [snippet rings]
        for number, name in enumerate(("events", *others)):
            self.bpf[name].open_ring_buffer(consumer)
            if others:
                self.bpf["rings"][ctypes.c_int(number)] = ctypes.c_int(self.bpf[name].map_fd)
        # [end rings]
        self._rings = [self.bpf[name].map_fd for name in ("events", *others)]

    def _open_perf_buffers(self, consumer: Consumer) -> None:
        """What was lost the program counts, where it is refused: what BCC tells of it later is not listened to."""
        # [snippet buffer]
        self.bpf["events"].open_perf_buffer(
            consumer,
            page_cnt=self.options.ringbuf_bytes // os.sysconf("SC_PAGE_SIZE"),
            lost_cb=lambda _lost: None,
            wakeup_events=1 if self.options.wakeup == "adaptive" else 0,
        )
        self._poll, self._consume = self.bpf.perf_buffer_poll, self.bpf.perf_buffer_consume
        # [end buffer]

    def _knobs(self, rings: int) -> dict[str, int]:
        """The macros of what is not as usual: without them, the program is what it is without knobs."""
        options = self.options
        if options.buffer == "perf":
            return {"PERF_BUFFER": 1}
        return (
            ({"WAKE_BYTES": options.wake_bytes} if options.wake_bytes else {})
            | ({"RINGS": rings} if rings > 1 else {})
            | ({"RING_OF_CPU": 1} if options.rings == ONE_EACH_CPU else {})
            | ({"VARIABLE_RECORDS": 1} if options.records == "variable" else {})
        )

    @abstractmethod
    def consumer(self) -> Consumer:
        """What puts out an event, and returns the verdict of `stop`."""

    def follow(self) -> None:
        """A signal ends the wait, except in the instant between the check and the wait: then the time-out does.

        BCC does not tell whether a wait timed out or was interrupted; the clock does.
        """
        poll_ns = self.options.poll_ms * 1_000_000
        wait = self._waiting()
        taken, since_ns = self.output.taken, time.monotonic_ns()
        while not self.stop.requested:
            wait()
            now_ns = time.monotonic_ns()
            if self.output.taken != taken:
                taken, since_ns = self.output.taken, now_ns
            elif now_ns >= since_ns + poll_ns:
                self.output.flush()
                since_ns = now_ns

    def _waiting(self) -> Callable[[], object]:
        """What waits once, as --wakeup has it, and takes what is there then."""
        poll_ms, poll, consume, stop = self.options.poll_ms, self._poll, self._consume, self.stop

        # [snippet wakeup]
        def nap() -> None:
            stop.wait(poll_ms / 1000)
            consume()  # bpf.ring_buffer_consume()

        def wait_for_watermark() -> None:
            poll(poll_ms)  # bpf.ring_buffer_poll(), which looks into those rings alone that woke it
            consume()

        # [end wakeup]
        if self.options.epoll == "edge":
            return self._waiting_for_edges()
        match self.options.wakeup:
            # [snippet poll_ms]
            case "adaptive":
                return lambda: poll(poll_ms)  # bpf.ring_buffer_poll()
            # [end poll_ms]
            # [snippet wakeup]
            case "never":
                return nap
            case "poll":
                return consume  # bpf.ring_buffer_consume()
            case _:
                return wait_for_watermark
            # [end wakeup]

    def _waiting_for_edges(self) -> Callable[[], object]:
        """The same, until a ring wakes, whatever it holds.

        The last look comes after the last take, and a fence: for each call of BCC's library Python gives its lock away
        and takes it again.
        """
        poll_s, bpf, stop, output = self.options.poll_ms / 1000, self.bpf, self.stop, self.output
        # [snippet epoll]
        epoll = select.epoll()
        epoll.register(stop.told, select.EPOLLIN)
        for ring in self._rings:
            epoll.register(ring, select.EPOLLIN | select.EPOLLET)

        def wait_for_edge() -> None:
            epoll.poll(poll_s)
            taken = -1
            while output.taken != taken and not stop.requested:
                taken = output.taken
                bpf.ring_buffer_consume()

        # [end epoll]
        return wait_for_edge

    def drain(self) -> None:
        """An output error ends ring_buffer_consume() early, hence the loop. (It does not end that of perf buffers.)"""
        taken = -1
        while self.output.taken != taken:
            taken = self.output.taken
            self.stop.verdict = 0
            self._consume()

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
