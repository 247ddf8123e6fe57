# SPDX-License-Identifier: Apache-2.0
"""fs-profile: slow calls from the ring into the file, and one look at the maps, at the end."""

from collections.abc import Sequence
from ctypes import string_at
from typing import Any

from latencies import Key, Latency, lines
from record import slow_call
from ring import Consumer, RingTool
from summary import Account


class FsProfile(RingTool):
    _events: list[int]  # how many each record of the output stands for

    def attach(self) -> None:
        self.load("fs_profile.c", {})

    def consumer(self) -> Consumer:
        put = self.output.put
        stop = self.stop

        def on_slow_call(_context: object, address: int, size: int) -> int:
            put(slow_call(string_at(address, size)))
            return stop.verdict

        return on_slow_call

    def drain(self) -> None:
        super().drain()
        self._events = [1] * self.output.taken
        for line in lines(self._latencies(), self._top()):
            self.output.put(line.text)
            self._events.append(line.events)

    def _latencies(self) -> dict[Key, Latency]:
        """One by one: what BCC reads in batches, it cannot hand out if there is a value of each CPU."""
        by_key = {Key(key.dev, key.inode, key.op): _sum(cpus) for key, cpus in self.bpf["latency"].items()}
        others = {Key(0, 0, op.value): _sum(cpus) for op, cpus in self.bpf["other"].items()}
        return {key: latency for key, latency in (others | by_key).items() if latency.count}

    def _top(self) -> dict[tuple[int, int], tuple[int, int]]:
        uses = self.bpf["top"].items_lookup_batch()
        return {(file.dev, file.inode): (use.calls, use.bytes) for file, use in uses}

    def account(self) -> Account:
        account = super().account()
        account.intercepted["slow"] = sum(cpu.slow for cpu in self.bpf["counters"][0])
        account.saved = sum(self._events[: self.output.saved])
        account.output_error = sum(self._events[self.output.saved :])
        return account


def _sum(cpus: Sequence[Any]) -> Latency:
    """What a key has over all CPUs."""
    return Latency(
        count=sum(cpu.count for cpu in cpus),
        moved=sum(cpu.bytes for cpu in cpus),
        total_ns=sum(cpu.total_ns for cpu in cpus),
        max_ns=max(cpu.max_ns for cpu in cpus),
        name=next((cpu.name for cpu in cpus if cpu.name), b""),
        slots=[sum(calls) for calls in zip(*(cpu.slots for cpu in cpus), strict=True)],
    )
