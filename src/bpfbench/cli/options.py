# SPDX-License-Identifier: Apache-2.0
"""Options in place of what a study file says, and where packages come from."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from bpfbench.declare.study import Override
from bpfbench.errors import UsageError
from bpfbench.testbed.image import Sources

FACTORS = Group("Factors", help="In place of the study's; several values, separated by commas, are crossed.")
HOW = Group("How trials are run", help="In place of the study's.")
VM = Group("Virtual machines", help="In place of the study's; with --testbed vm only.")


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
    variants: Annotated[str | None, _factor("variants", "full, no-output, no-consumer, run-time")] = None
    rate_iops: Annotated[
        str | None, _factor("rate_iops", "the most I/Os per second of each fio process: numbers, unlimited")
    ] = None
    kernels: Annotated[str | None, _factor("kernels", "with --testbed vm: trixie, backports, sid")] = None
    testbed: Annotated[str | None, Parameter(group=HOW, help="host: this machine's kernel; vm: virtual machines.")] = (
        None
    )
    repetitions: Annotated[str | None, Parameter(group=HOW, help="Blocks of each kind.")] = None
    seed: Annotated[str | None, Parameter(group=HOW, help="Decides the order of trials.")] = None
    placement: Annotated[str | None, Parameter(group=HOW, help="CPUs: paper, shared, auto.")] = None
    keep_output: Annotated[bool | None, Parameter(group=HOW, help="Keep what tracers write.", negative="")] = None
    data_dir: Annotated[str | None, Parameter(group=HOW, help="Where fio's data files are.")] = None
    output_dir: Annotated[str | None, Parameter(group=HOW, help="Where tracers write.")] = None
    image: Annotated[str | None, Parameter(group=HOW, help="Which image.")] = None
    hosts: Annotated[str | None, Parameter(group=VM, help="How many, or their names.")] = None
    assignment: Annotated[str | None, Parameter(group=VM, help="Of trials to hosts: crossed, by-setup.")] = None
    cpus: Annotated[str | None, Parameter(group=VM, help="CPUs of each.")] = None
    memory: Annotated[str | None, Parameter(group=VM, help="Memory of each, e.g. 4GiB.")] = None
    accelerator: Annotated[str | None, Parameter(group=VM, help="kvm, tcg (emulated), auto.")] = None
    boot: Annotated[str | None, Parameter(group=VM, help="What one boot serves: block, trial.")] = None

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of the study."""
        found: dict[str, Override] = {}
        for field, value in vars(self).items():
            if value is not None:
                key = KEYS.get(field, f"factors.{field}")
                found[key] = Override(f"--{field.replace('_', '-')}", _read(key, value))
        return found


KEYS = {
    **{key: key for key in ("testbed", "repetitions", "seed", "image", "hosts", "assignment")},
    **{key: f"settings.{key}" for key in ("placement", "keep_output")},
    **{f"{key}_dir": f"paths.{key}" for key in ("data", "output")},
    **{key: f"machine.{key}" for key in ("cpus", "accelerator", "boot")},
    "memory": "machine.memory_bytes",
}
"""Option -> the key of the study that it replaces; all others are factors."""


def _read(key: str, value: Any) -> object:
    """Read what was given for a key of the study."""
    if key.startswith("factors."):
        return split(value)
    if key == "hosts":
        names = split(value)
        return names[0] if len(names) == 1 else names
    return number(value) if key in {"repetitions", "seed", "machine.cpus", "machine.memory_bytes"} else value


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TestbedOptions:
    """Where tracers run that are tried apart from any study."""

    testbed: Annotated[str | None, Parameter(group=HOW, help="host: this machine's kernel; vm: a virtual machine.")] = (
        None
    )
    kernel: Annotated[str | None, Parameter(group=VM, help="Which it boots: trixie, backports, sid.")] = None
    cpus: Annotated[str | None, Parameter(group=VM, help="CPUs it has.")] = None
    memory: Annotated[str | None, Parameter(group=VM, help="Memory it has, e.g. 4GiB.")] = None
    accelerator: Annotated[str | None, Parameter(group=VM, help="kvm, tcg (emulated), auto.")] = None

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of a study."""
        named = {"kernel": "factors.kernels"}
        given = {field: value for field, value in vars(self).items() if value is not None}
        keys = {field: named.get(field) or KEYS[field] for field in given}
        return {keys[field]: Override(f"--{field}", _read(keys[field], value)) for field, value in given.items()}


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
