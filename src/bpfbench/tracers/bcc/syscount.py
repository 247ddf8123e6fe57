# SPDX-License-Identifier: Apache-2.0
"""syscount: one look at the map, at the end."""

from kernel import recursion_misses
from load import load, target_macros
from record import count_record
from tool import Counts, Tool


class Syscount(Tool):
    def attach(self) -> None:
        self._counts: dict[int, int] = {}
        self.bpf = load("syscount.c", target_macros(self.options.target_comm))

    def follow(self) -> None:
        self.stop.wait()

    def drain(self) -> None:
        self._counts = dict(sorted((number.value, sum(cpus)) for number, cpus in self.bpf["counts"].items()))
        for number, count in self._counts.items():
            self.output.put(count_record(self.options.format, number, count))

    def counts(self) -> Counts:
        (program,) = self.bpf.funcs.values()
        recursion = recursion_misses(program.fd, self.options.attach)
        map_full = sum(self.bpf["map_full"][0])
        counted = list(self._counts.values())
        return Counts(
            intercepted={"syscall": sum(counted) + map_full + (recursion or 0)},
            ring_full=0,
            map_full=map_full,
            recursion=recursion,
            missed=0,
            saved=sum(counted[: self.output.saved]),
            output_error=sum(counted[self.output.saved :]),
            syscalls=self._counts,
        )
