# SPDX-License-Identifier: Apache-2.0
"""Options in place of what a study file says, and where packages come from."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from bpfbench.errors import UsageError
from bpfbench.study import Override
from bpfbench.testbed.image import Sources

FACTORS = Group("Factors", help="In place of the study's; several values, separated by commas, are crossed.")
HOW = Group("How trials are run", help="In place of the study's.")


def _factor(key: str, text: str) -> Any:
    return Parameter(group=FACTORS, help=text, name=f"--{key.replace('_', '-')}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What the command line sets in place of the study file."""

    setups: Annotated[
        str | None, _factor("setups", "bpftrace, bcc, libbpf, ebpf-go, aya-sync, …; `bpfbench list` shows them")
    ] = None
    tools: Annotated[str | None, _factor("tools", "syscount, rw-tracer, rw-tracer-all")] = None
    workloads: Annotated[str | None, _factor("workloads", "read, write, mixed")] = None
    processes: Annotated[str | None, _factor("processes", "fio processes")] = None
    scale: Annotated[str | None, _factor("scale", "size of the workload; 1 is 32 GiB per process")] = None
    attach: Annotated[str | None, _factor("attach", "the hook")] = None
    format: Annotated[str | None, _factor("format", "text, binary")] = None
    ringbuf_bytes: Annotated[str | None, _factor("ringbuf_bytes", "size of the ring buffer, e.g. 256KiB")] = None
    poll_ms: Annotated[str | None, _factor("poll_ms", "poll time-out")] = None
    payload_bytes: Annotated[str | None, _factor("payload_bytes", "payload kept per event by rw-tracer-all")] = None
    repetitions: Annotated[str | None, Parameter(group=HOW, help="Blocks of each kind.")] = None
    seed: Annotated[str | None, Parameter(group=HOW, help="Decides the order of trials.")] = None
    placement: Annotated[str | None, Parameter(group=HOW, help="CPUs: paper, shared, auto.")] = None
    keep_output: Annotated[bool | None, Parameter(group=HOW, help="Keep what tracers write.", negative="")] = None
    data_dir: Annotated[str | None, Parameter(group=HOW, help="Where fio's data files are.")] = None
    output_dir: Annotated[str | None, Parameter(group=HOW, help="Where tracers write.")] = None
    image: Annotated[str | None, Parameter(group=HOW, help="Which image.")] = None

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of the study."""
        tables = {"keep_output": "settings", "placement": "settings", "data_dir": "paths", "output_dir": "paths"}
        keys = {"data_dir": "data", "output_dir": "output"}
        found: dict[str, Override] = {}
        for field, value in vars(self).items():
            if value is None:
                continue
            top = field in ("repetitions", "seed", "image")
            table = "" if top else tables.get(field, "factors") + "."
            if table == "factors.":
                value = split(value)
            elif field in ("repetitions", "seed"):
                value = number(value)
            found[f"{table}{keys.get(field, field)}"] = Override(f"--{field.replace('_', '-')}", value)
        return found


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Where an image's packages come from."""

    mirror: Annotated[str | None, Parameter(env_var="BPFBENCH_MIRROR", help="Debian mirror (default: apt's own).")] = (
        None
    )
    suite: Annotated[str | None, Parameter(env_var="BPFBENCH_SUITE", help="Debian suite (default: the image's).")] = (
        None
    )
    ca_bundle: Annotated[
        str | None, Parameter(env_var="BPFBENCH_CA_BUNDLE", help="CA certificates for https (default: the host's).")
    ] = None

    def sources(self) -> Sources:
        """Return them as the image builder wants them."""
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            raise UsageError(f"option --ca-bundle: {self.ca_bundle!r} is not a file")
        return Sources(self.mirror, self.suite, self.ca_bundle)


def split(text: str) -> list[object]:
    """Read the values of a list option: numbers where they are numbers."""
    return [number(word.strip()) for word in text.split(",") if word.strip()]


def number(word: str) -> object:
    """Read a number as TOML would; anything else stays text, for the study to judge."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word
