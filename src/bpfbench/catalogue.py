# SPDX-License-Identifier: Apache-2.0
"""What can be chosen, a line each: setups, tools, workloads, images, kernels, testbeds. ARCHITECTURE.md adds one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench.model import OPTIONS, PAPER_TOOLS, Attach, Format, Setup, Study, Tool

PACKAGE = Path(__file__).parent
"""Where package data (studies, workloads, tracer sources) is found; bpfbench is always installed unpacked."""

ELSEWHERE = {
    "explanation/architecture": "ARCHITECTURE.md",
    "project/changes": "CHANGELOG.md",
    "project/contributing": "CONTRIBUTING.md",
    "reference/tracer-contract": "src/bpfbench/tracers/README.md",
}
"""Pages of the documentation that a clone has outside of docs/, by name. A wheel has them where it has the others."""

SOURCES = "source/"
"""How the names of sources begin that lie among the pages of a wheel, for pages link to them."""

FULL_BYTES_PER_PROCESS = 32 * 2**30
"""What one fio process moves at scale 1, as in the paper."""

FLAVOURS = (Attach.TRACEPOINT, Attach.KPROBE, Attach.FENTRY)
"""Every hook flavour."""


def _by_name(*setups: Setup) -> dict[str, Setup]:
    return {setup.name: setup for setup in setups}


def _every(*options: str) -> dict[str, tuple[str, ...]]:
    """Return every kind of value of these options of version 2 of the contract."""
    return {name: OPTIONS[name] for name in options}


_ALL: dict[str, Any] = {"attaches": FLAVOURS, "tools": tuple(Tool)}

_COMPILED_HAS = _every("wakeup", "rings", "consumers", "output_bytes", "records", "buffer")
_EDGE = _every("epoll")
_BCC_LACKS = {"consumers": "a BPF object has one ring buffer manager in BCC, and Python runs one thread at a time"}

_BPFTRACE_LACKS = {
    "wakeup": "bpftrace passes flags 0 to bpf_ringbuf_output, and none of its settings changes that",
    "rings": "bpftrace makes one ring, whatever a script prints",
    "consumers": "bpftrace reads its one ring in one thread",
    "output_bytes": "bpftrace writes through a C++ stream, whose buffer none of its settings changes",
    "records": "bpftrace's compiler fixes how long a record of printf is",
    "buffer": "bpftrace takes a ring wherever the kernel has one",
    "epoll": "bpftrace adds its ring to an epoll of its own, by level, and none of its settings changes that",
}

_AYA_WITH_PERF: dict[str, tuple[str, ...]] = {"wakeup": ("adaptive",)}
_AYA_LACKS = {"wakeup": "Aya 0.13 has each record wake"}

MAIN_SETUPS = _by_name(
    Setup(
        "bpftrace",
        "bpftrace scripts; bpf_ringbuf_output",
        (Format.TEXT,),
        poll_ms=(100,),
        lacks=_BPFTRACE_LACKS,
        **_ALL,
    ),
    Setup(
        "bcc",
        "BCC, Python user space, compiled at start-up",
        options=_every("wakeup", "rings", "output_bytes", "records", "buffer", "epoll"),
        with_perf={"wakeup": ("adaptive", "never", "poll")},
        lacks={**_BCC_LACKS, "wakeup": "BCC's open_perf_buffer takes a number of events, and none of bytes"},
        **_ALL,
    ),
    Setup("libbpf", "libbpf with CO-RE, C user space", options=_COMPILED_HAS | _EDGE, **_ALL),
    Setup("ebpf-go", "ebpf-go 0.17.3, the kernel side of libbpf, Go user space", options=_COMPILED_HAS | _EDGE, **_ALL),
    Setup("ebpf-go@0.22", "the same with ebpf-go 0.22", options=_COMPILED_HAS | _EDGE, **_ALL),
    Setup(
        "aya-sync",
        "Aya, kernel side and user space in Rust, polling without pause",
        options=_COMPILED_HAS | _EDGE,
        with_perf=_AYA_WITH_PERF,
        lacks=_AYA_LACKS,
        **_ALL,
    ),
    Setup(
        "aya-async",
        "Aya, kernel side and user space in Rust, woken through Tokio",
        options=_COMPILED_HAS,
        with_perf=_AYA_WITH_PERF,
        lacks={**_AYA_LACKS, "epoll": "Tokio waits by edges, whatever it is asked for"},
        **_ALL,
    ),
)
"""Those in their own right: each library as an expert uses it, in its stock build (docs/fairness.md).

They are what is meant where none is named."""


def _but(to: str, name: str, description: str, **choice: Any) -> Setup:
    """Return a setup that equals another but for one choice."""
    return replace(MAIN_SETUPS[to], name=name, description=description, alternative_to=to, **choice)


_COUNTS_ONLY: dict[str, Any] = {"options": {}, "attaches": (Attach.TRACEPOINT,), "tools": (Tool.SYSCOUNT,)}

SETUPS = MAIN_SETUPS | _by_name(
    _but("bpftrace", "bpftrace-default", "bpftrace with its own max_strlen (1024) instead of what the tool needs"),
    _but(
        "bcc",
        "bcc-event",
        "bcc with events taken apart by BCC's event() instead of struct",
        formats=(Format.TEXT,),
        tools=PAPER_TOOLS,  # event() takes records of one length
        options=_every("wakeup", "rings", "output_bytes", "epoll"),
        with_perf={},
        lacks={
            **_BCC_LACKS,
            "records": "BCC's event() takes records of one length",
            "buffer": "its tracer takes apart events of a ring, and of no perf buffer",
        },
    ),
    _but("libbpf", "libbpf-tuned", "libbpf linked in, with -O3 and LTO, kernel side for BPF v3"),
    _but("libbpf", "libbpf-hash", "libbpf with syscount's counts in one hash for all CPUs", **_COUNTS_ONLY),
    _but("ebpf-go", "ebpf-go-default", "ebpf-go without giving memory back once it has loaded"),
    _but("ebpf-go", "ebpf-go-procs", "ebpf-go with Go code on as many CPUs as there are"),
    _but("aya-sync", "aya-sync-helpers", "aya-sync with Aya's own helpers on the kernel side instead of bindings"),
    _but("aya-sync", "aya-sync-tuned", "aya-sync with LTO in one unit, aborting on panic, kernel side for BPF v3"),
    _but("aya-sync", "aya-sync-poll", "aya-sync asleep in poll(2) until woken"),
    _but("aya-async", "aya-async-threads", "aya-async on Tokio's threads"),
)
"""Every setup that the image has: those, and what differs from one of them in a single choice."""

TOOLS = {
    Tool.SYSCOUNT: "counts system calls by number in a hash map, read once at the end",
    Tool.RW_TRACER: "one 156-byte event per read and write through a ring buffer",
    Tool.RW_TRACER_ALL: "the same with up to 4096 bytes of the data read or written",
    Tool.FS_PROFILE: "latencies per file, summed in the kernel; slow calls with their stacks through a ring",
}

WORKLOADS = {
    "read": "sequential reads of 4 KiB, each process its own file",
    "write": "sequential overwrites of 4 KiB, each process its own file",
    "mixed": "sequential, half reads and half writes of 4 KiB, each process its own file",
}

BOTH_WAYS = ("mixed",)
"""Workloads that read and write."""

TARGETS = tuple(sorted(path.parent.name for path in (PACKAGE / "targets").glob("*/target.toml")))
"""The targets besides fio that come with bpfbench, each a folder of targets/; declare/targets.py reads what it says."""

IMAGES = {
    "trixie": "Debian 13, the versions nearest to the paper's: bpftrace 0.23, BCC 0.31, libbpf 1.5",
}

KERNELS = {
    "trixie": "Debian 13's own, 6.12",
    "backports": "the newest made for Debian 13 (trixie-backports)",
    "sid": "that of Debian's next release, as it is now (sid)",
}
"""Those that a virtual machine can boot, whatever the image."""

TESTBEDS = {
    "host": "an image on this machine's kernel",
    "vm": "an image on a kernel of its own, in a virtual machine",
    "cluster": "one of these on each of many hosts, side by side",
}


def setups(study: Study) -> dict[str, Setup]:
    """Return every setup a study can name: ours and those it brings."""
    return SETUPS | {setup.name: setup for setup in study.setups}


def usual(setups: Mapping[str, Setup]) -> tuple[str, ...]:
    """Return the names of those that are meant where none is named: all but the alternatives to others."""
    return tuple(name for name, setup in setups.items() if setup.alternative_to is None)


def paper() -> dict[str, Any]:
    """Return the paper's printed numbers; data/paper.toml explains them."""
    return tomllib.loads((PACKAGE / "data" / "paper.toml").read_text())


def claims() -> dict[str, Any]:
    """Return what the paper claims, by id; data/claims.toml explains it."""
    return tomllib.loads((PACKAGE / "data" / "claims.toml").read_text())


def docs() -> dict[str, Path]:
    """Return the pages of the documentation by name: those of the wheel, or of the clone that is installed."""
    top = PACKAGE.parents[1]
    place = next((own for own in (PACKAGE / "docs", top / "docs") if own.is_dir()), PACKAGE / "docs")
    found = {page.relative_to(place).with_suffix("").as_posix(): page for page in place.rglob("*.md")}
    pages = {name: page for name, page in found.items() if not name.startswith(SOURCES)}
    if place.parent == top:
        pages |= {name: top / source for name, source in ELSEWHERE.items()}
    return dict(sorted(pages.items()))


def studies() -> dict[str, Path]:
    """Return the shipped studies' files by name; that of one in a folder begins with the folder's."""
    place = PACKAGE / "studies"
    return {path.relative_to(place).with_suffix("").as_posix(): path for path in sorted(place.rglob("*.toml"))}
