# SPDX-License-Identifier: Apache-2.0
"""A study: the declared experiment, resolved."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from bpfbench.model.choices import (
    EVENT_TOOLS,
    LOCAL,
    PAPER_TOOLS,
    Accelerator,
    Assignment,
    Attach,
    Boot,
    Buffer,
    Consumers,
    Epoll,
    Format,
    Placement,
    Slots,
    Tool,
    Variant,
    kind_of,
)
from bpfbench.model.command import CommandTracer
from bpfbench.model.driven import DrivenTarget
from bpfbench.model.factors import Factors, TracerConfig


@dataclass(frozen=True, slots=True)
class Setup:
    """How a tracer is built and driven."""

    name: str
    description: str
    formats: tuple[Format, ...] = (Format.TEXT, Format.BINARY)
    attaches: tuple[Attach, ...] = (Attach.TRACEPOINT,)
    poll_ms: tuple[int, ...] | None = None
    """The poll time-outs the library can be set to; None: any."""
    tools: tuple[str, ...] = PAPER_TOOLS
    command: tuple[str, ...] = ()
    """Of a user's own: the path of an executable on the host, and what it is given before the contract's options. Empty
    where the image has the tracer."""
    alternative_to: str | None = None
    """The setup that it equals but for one choice, whose effect it shows; None: a setup in its own right."""
    commands: dict[str, CommandTracer] = field(default_factory=dict, hash=False)
    """By tool, of a setup whose tracers are commands and keep no contract; empty of all others."""
    packages: tuple[str, ...] = ()
    """Of Debian, which its commands want besides what the image has."""
    files: str | None = None
    """The folder that its commands find their files in; None: they have none."""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """What its tracers can be set to beyond version 1 of the contract: kinds of values (`OPTIONS`), by option."""
    with_perf: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """The kinds, by option, that it has with a perf event array, where those are fewer."""
    lacks: dict[str, str] = field(default_factory=dict, hash=False)
    """Why not to others, by option, as far as that is its library's affair."""
    lacking: tuple[Attach, ...] = ()
    """Hooks that the kernel has not, as far as that is known: what needs one is left out."""

    @property
    def is_command(self) -> bool:
        """Whether its tracers are commands."""
        return bool(self.commands)

    def refusal(self, tool: str, config: TracerConfig) -> str | None:
        """Say why this setup cannot run `tool` with `config`; None where it can."""
        if tool not in self.tools:
            return f"{self.name} has no {tool}"
        if self.is_command and not config.is_command:
            return f"{self.name} is a command, which keeps no contract"
        if self.is_command:
            absent = [hook for hook in self.commands[tool].needs if hook in self.lacking]
            return f"{self.name} needs {', '.join(absent)}, which the kernel lacks" if absent else None
        if reason := _not_of_tool(tool, config):
            return f"{self.name} {reason}"
        if config.format not in self.formats:
            return f"{self.name} cannot write {config.format}"
        if config.attach not in (*self.attaches, Attach.AUTO):
            return f"{self.name} cannot attach by {config.attach}"
        if config.poll_ms is not None and self.poll_ms is not None and config.poll_ms not in self.poll_ms:
            return f"{self.name} cannot poll every {config.poll_ms} ms"
        return self._lack(config) or config.contradiction

    def _lack(self, config: TracerConfig) -> str | None:
        for option, value in config.options.items():
            kind, why = kind_of(option, value), f": {self.lacks[option]}" if option in self.lacks else ""
            if kind not in self.options.get(option, ()):
                return f"{self.name} has no {option} = {value}{why}"
            if config.buffer is Buffer.PERF and kind not in self.with_perf.get(option, (kind,)):
                return f"{self.name} has no {option} = {value} with a perf event array{why}"
        return None


def _not_of_tool(tool: str, config: TracerConfig) -> str | None:
    """Say what no tracer does of a tool; None where some can."""
    if tool is Tool.FS_PROFILE and config.format is not Format.TEXT:
        return f"cannot write {config.format}: {tool} is text only"
    if tool not in EVENT_TOOLS and config.variant is Variant.DELAY:
        return f"has no variant {config.variant}: most of what {tool} writes is no single event"
    return None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a step may take, in seconds, before the trial is given up as failed."""

    ready_s: float = 90.0
    workload_s: float = 3600.0
    drain_s: float = 300.0
    layout_s: float = 7200.0
    stop_s: float = 30.0
    """From the signal to the end of a tracer that is a command, which nobody has asked to drain anything."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How every trial of a study is run; not a factor."""

    placement: Placement = Placement.AUTO
    idle_s: float = 0.1
    """Length of the idle baseline between READY and the target."""
    rest_s: float = 0.0
    """From the preparation of a trial to a target that reads from disk, at least. A disk with a budget for bursts, as
    virtual ones have, is faster the longer it has rested; so a tracer that takes its time to start would be faster. 0
    in runs from before studies had the key."""
    sample_interval_s: float = 0.1
    keep_output: bool = False
    deadlines: Deadlines = field(default_factory=Deadlines)


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine of the `vm` testbed."""

    cpus: int = 2
    memory_bytes: int = 4 * 2**30
    accelerator: Accelerator = Accelerator.AUTO
    boot: Boot = Boot.BLOCK


@dataclass(frozen=True, slots=True)
class Paths:
    """What is written where, on the host. None: below bpfbench's cache directory."""

    data: str | None = None
    """fio's files: laid out once, reused while valid."""
    output: str | None = None
    """Tracer output, deleted after each trial unless settings.keep_output."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What counts in an answer: up to which differences setups are equal, and what is too little."""

    runtime_margin_percent: float = 5.0
    """Of overhead and latency."""
    fidelity_margin_points: float = 1.0
    """Of the share of events saved, which is in per cent."""
    cpu_margin_percent: float = 5.0
    """Of CPU, start-up, power and the delay of delivery."""
    memory_margin_percent: float = 5.0
    fidelity_floor_percent: float = 95.0
    """Who saves less is no all-round choice."""


@dataclass(frozen=True, slots=True)
class TunedValues:
    """How a setup is configured besides as the factors say, so that both are tried."""

    setup: str
    format: Format | None = None
    """None, as of those below: as the study has it. They are called as the knobs are that have rows in factors.py."""
    ringbuf_bytes: int | None = None
    poll_ms: int | None = None
    wakeup: str | None = None
    rings: str | None = None
    consumers: Consumers | None = None
    output_bytes: int | None = None
    records: Slots | None = None
    buffer: Buffer | None = None
    epoll: Epoll | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What it has of its own, by factor."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "setup"}
        return {name: value for name, value in own.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Study:
    """The declared experiment, resolved: every key has its value."""

    name: str
    description: str
    image: str
    testbed: str
    seed: int
    repetitions: int
    factors: Factors
    settings: Settings
    paths: Paths
    output_limit_bytes: int | None
    """Room to demand for one trial's tracer output; None: enough for every event."""
    setups: tuple[Setup, ...] = ()
    """Those the study brings."""
    targets: tuple[DrivenTarget, ...] = ()
    """Those besides fio that its trials drive, shipped or brought."""
    hosts: tuple[str, ...] = (LOCAL,)
    """The servers: virtual machines of these names with the testbed `vm`, machines with `cluster`."""
    assignment: Assignment = Assignment.CROSSED
    machine: Machine = field(default_factory=Machine)
    """What each virtual machine is; the testbed `host` does not use it."""
    criteria: Criteria = field(default_factory=Criteria)
    below: str | None = None
    """The testbed on each host of the testbed `cluster`; None with others."""
    tuned: tuple[TunedValues, ...] = ()
    """Of setups that are tried in a configuration of their own, too."""

    def on(self, host: str) -> Study:
        """Return what a host of a cluster has of it: that is a study on the testbed below, of this host alone."""
        return replace(self, testbed=self.ground, below=None, hosts=(host,))

    @property
    def wants(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """What an image may lack: setups, packages of targets, and those of commands."""
        return self.factors.setups, self.shipped_targets, self.packages

    @property
    def packages(self) -> tuple[tuple[str, ...], ...]:
        """What the setups that are measured want of Debian, which an image may lack."""
        named = (setup.packages for setup in self.setups if setup.name in self.factors.setups)
        return tuple(sorted({packages for packages in named if packages}))

    @property
    def shipped_targets(self) -> tuple[str, ...]:
        """The targets whose packages an image may lack."""
        return tuple(target.name for target in self.targets if target.shipped)

    @property
    def ground(self) -> str:
        """The testbed that trials are run on, wherever that is."""
        return self.below or self.testbed
