# SPDX-License-Identifier: Apache-2.0
"""syscount: one look at the map, at the end."""

from load import load, target_macros
from record import count_record
from summary import Account
from tool import Tool


class Syscount(Tool):
    def attach(self) -> None:
        self._counts: dict[int, int] = {}
        self.bpf = load("", ["syscount.c"], target_macros(self.options.target_comm))

    def follow(self) -> None:
        self.stop.wait()

    def drain(self) -> None:
        self._counts = dict(sorted((number.value, sum(cpus)) for number, cpus in self.bpf["counts"].items()))
        for number, count in self._counts.items():
            self.output.put(count_record(self.options.format, number, count))

    def account(self) -> Account:
        misses = self.recursion_misses()
        recursion = None if misses is None else sum(misses.values())
        map_full = sum(self.bpf["map_full"][0])
        counted = list(self._counts.values())
        return Account(
            intercepted={"syscall": sum(counted) + map_full + (recursion or 0)},
            saved=sum(counted[: self.output.saved]),
            bytes=self.output.bytes,
            map_full=map_full,
            recursion=recursion,
            output_error=sum(counted[self.output.saved :]),
            syscalls=self._counts,
        )
