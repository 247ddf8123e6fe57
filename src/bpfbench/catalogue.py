# SPDX-License-Identifier: Apache-2.0
"""What can be chosen: setups, tools and workloads, one line each. A new one is its files plus a line here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpfbench.model import EVENT_BYTES, Attach, Format, Tool, TracerConfig

PACKAGE = Path(__file__).parent
"""Where package data (studies, workloads, tracer sources) is found; bpfbench is always installed unpacked."""

FULL_BYTES_PER_PROCESS = 32 * 2**30
"""What one fio process moves at scale 1, as in the paper."""

TEXT_EVENT_BYTES = 210
"""No text line of an rw event without payload is longer: integers at their longest in practice, comm and name."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a tracer is built and driven."""

    name: str
    description: str
    formats: tuple[Format, ...] = (Format.TEXT, Format.BINARY)
    attaches: tuple[Attach, ...] = (Attach.TRACEPOINT,)
    poll_ms: tuple[int, ...] | None = None
    """The poll time-outs the library can be set to; None: any."""

    def refusal(self, config: TracerConfig) -> str | None:
        """Say why this setup cannot run with `config`; None where it can."""
        if config.format not in self.formats:
            return f"{self.name} cannot write {config.format}"
        if config.attach not in self.attaches:
            return f"{self.name} cannot attach by {config.attach}"
        if config.poll_ms is not None and self.poll_ms is not None and config.poll_ms not in self.poll_ms:
            return f"{self.name} cannot poll every {config.poll_ms} ms"
        return None


SETUPS = {
    setup.name: setup
    for setup in (
        Setup("bpftrace", "bpftrace scripts; bpf_ringbuf_output", formats=(Format.TEXT,), poll_ms=(100,)),
        Setup("bcc", "BCC, Python user space, compiled at start-up"),
        Setup("libbpf", "libbpf with CO-RE, C user space"),
    )
}

TOOLS = {
    Tool.SYSCOUNT: "counts system calls by number in a hash map, read once at the end",
    Tool.RW_TRACER: "one 156-byte event per read and write through a ring buffer",
    Tool.RW_TRACER_ALL: "the same with up to 4096 bytes of the data read or written",
}

WORKLOADS = {
    "read": "sequential reads of 4 KiB, each process its own file",
    "write": "sequential overwrites of 4 KiB, each process its own file",
    "mixed": "sequential, half reads and half writes of 4 KiB, each process its own file",
}


IMAGES = {
    "trixie": "Debian 13, the versions nearest to the paper's: bpftrace 0.23, BCC 0.31, libbpf 1.5",
}

TESTBEDS = {
    "host": "an image on this machine's kernel",
}


def paper() -> dict[str, Any]:
    """Return the paper's printed numbers; data/paper.toml explains them."""
    return tomllib.loads((PACKAGE / "data" / "paper.toml").read_text())


def job_file(workload: str) -> Path:
    """Return the fio job file of a workload."""
    return PACKAGE / "workloads" / f"{workload}.fio"


def study_files() -> Iterator[Path]:
    """Yield the shipped studies' files by name."""
    yield from sorted((PACKAGE / "studies").glob("*.toml"))


def record_bytes(tool: Tool, config: TracerConfig) -> int:
    """Return an upper bound of what one event takes in the output, in bytes; 0 for counting tools."""
    if tool is Tool.SYSCOUNT:
        return 0
    payload = config.payload_bytes or 0
    return TEXT_EVENT_BYTES + 3 * payload if config.format is Format.TEXT else EVENT_BYTES + payload
