# SPDX-License-Identifier: Apache-2.0
"""What every tool does between start and end, and then its account."""

from abc import ABC, abstractmethod

import bcc
from kernel import recursion_misses, wait_for_programs
from options import Options
from output import Output
from stop import Stop
from summary import Account, recursion_is_counted


class Tool(ABC):
    bpf: bcc.BPF

    def __init__(self, options: Options, output: Output, stop: Stop) -> None:
        self.options = options
        self.output = output
        self.stop = stop

    @abstractmethod
    def attach(self) -> None:
        """Compiles, loads and attaches; raises whatever BCC does."""

    @abstractmethod
    def follow(self) -> None:
        """Returns when a stop is requested."""

    def detach(self) -> None:
        """When it returns, no program runs any more. What is detached already stays so.

        BCC attaches by name, so entries come before exits, and here too: each entry recorded still finds its exit.
        """
        for tracepoint in list(self.bpf.tracepoint_fds):
            self.bpf.detach_tracepoint(tracepoint)
        for kprobe in list(self.bpf.kprobe_fds):
            self.bpf.detach_kprobe_event(kprobe)
        for fentry in list(self.bpf.kfunc_entry_fds):
            self.bpf.detach_kfunc(fentry)
        for fexit in list(self.bpf.kfunc_exit_fds):
            self.bpf.detach_kretfunc(fexit)
        wait_for_programs()

    @abstractmethod
    def drain(self) -> None:
        """Puts out what is still in the kernel."""

    @abstractmethod
    def account(self) -> Account:
        """Valid once the output is flushed."""

    def recursion_misses(self) -> dict[str, int] | None:
        """How often the kernel skipped each program, by its name; None where it does not say."""
        if not recursion_is_counted(self.options.attach):
            return None
        return {name.decode(): recursion_misses(program.fd) for name, program in self.bpf.funcs.items()}
