# SPDX-License-Identifier: Apache-2.0
"""TOML text -> Study. All validation is here; every message names the file or option, the key and the valid choices."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from bpfbench import catalogue
from bpfbench.errors import StudyError
from bpfbench.model import (
    BLOCK_BYTES,
    LOCAL,
    UNLIMITED,
    VANILLA,
    Accelerator,
    Assignment,
    Attach,
    Boot,
    Deadlines,
    Factors,
    Format,
    Machine,
    Paths,
    Placement,
    Settings,
    Setup,
    Study,
    Tool,
    Variant,
)

T = TypeVar("T")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _one_of(choices: Sequence[str]) -> Any:
    def check(value: object) -> object:
        if value not in choices:
            raise ValueError(choice_message(value, choices))
        return value

    return BeforeValidator(check)


def _setup_name(value: object, info: ValidationInfo) -> object:
    """Accept our setups and those that the study brings."""
    choices = (*catalogue.SETUPS, *_context(info).brought, VANILLA)
    if value not in choices:
        raise ValueError(choice_message(value, choices))
    return value


@dataclass(frozen=True, slots=True)
class _Context:
    """What validation needs besides the value."""

    folder: Path
    """Where the study file is."""
    brought: tuple[str, ...]
    """The names below [setups]."""


def _context(info: ValidationInfo) -> _Context:
    context = info.context
    if not isinstance(context, _Context):
        raise TypeError("studies are validated by parse()")
    return context


def _executable(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Make the path of a command absolute."""
    if not value:
        raise ValueError('the list is empty; give the path of an executable, as in ["./tracer"]')
    try:
        path = (_context(info).folder / Path(value[0]).expanduser()).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError):  # a name too long, the home of nobody
        path, is_file = Path(value[0]), False
    if not is_file:
        raise ValueError(f"{str(path)!r} is not a file; give the path of an executable, relative to the study file")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{str(path)!r} is not executable; run: chmod +x {path}")
    return (str(path), *value[1:])


def choice_message(value: object, choices: Sequence[str]) -> str:
    """Say that a value is not among the choices, which they are, and which was meant."""
    close = difflib.get_close_matches(value, choices, 1) if isinstance(value, str) else ()
    guess = f" (did you mean {str(close[0])!r}?)" if close else ""
    return f"{_shown(value)} is not one of: {', '.join(choices)}{guess}"


def _shown(value: object) -> str:
    """Write a TOML value as the user did, more or less."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(str(value))
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case dict():
            return "a table"
    return str(value)


def _wanted(what: str, *kinds: type) -> Any:
    """Accept values of these types only; a bool is not an int."""

    def check(value: object) -> object:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{what} is wanted, not {_shown(value)}")
        return value

    return BeforeValidator(check)


def _between(least: float, most: float = math.inf) -> Any:
    valid = f"{least} or more" if most == math.inf else f"{least} to {most}"

    def check(value: Any) -> Any:
        if not least <= value <= most:
            raise ValueError(f"{value} is out of range; valid is {valid}")
        return value

    return AfterValidator(check)


def _power_of_two(value: ByteSize) -> ByteSize:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"a BPF ring buffer is a power of two: {below} or {2 * below}, not {value}")
    return value


def _existing_directory(value: str) -> str:
    try:
        path = Path(value).expanduser()
        if value and path.is_dir():
            return str(path.resolve())
    except (OSError, RuntimeError):
        pass  # a name too long, the home of nobody
    raise ValueError(f"{value!r} is not an existing directory; create it or choose another")


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise ValueError(
            f"{value!r} is no name; write 1 to 64 letters, digits, '_', '.' and '-', first a letter or digit"
        )
    return value


def _not_ours(value: str) -> str:
    if value in (*catalogue.SETUPS, VANILLA):
        raise ValueError(f"{value!r} is a setup of bpfbench's; choose another name")
    return value


def _host_names(value: object) -> object:
    """Accept a number of hosts, or their names."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= HOSTS_MAX:
            raise ValueError(f"{value} is out of range; valid is 1 to {HOSTS_MAX}")
        return tuple(f"vm{number}" for number in range(1, value + 1))
    names = _listed(value)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"a number of hosts, or a list of their names, is wanted, not {_shown(value)}")
    for name in names:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            raise ValueError(f"{name!r} is no host name; write 1 to 63 of a-z, 0-9 and '-', no '-' first or last")
    return _distinct(tuple(names))


def _rate_iops(value: object) -> object:
    """Accept a whole number, or the word for no limit."""
    if value == UNLIMITED:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"a whole number or {UNLIMITED!r} is wanted, not {_shown(value)}")
    if not RATE_IOPS_MIN <= value <= RATE_IOPS_MAX:
        raise ValueError(f"{value} is out of range; valid is {RATE_IOPS_MIN} to {RATE_IOPS_MAX}, or {UNLIMITED!r}")
    return value


HOSTS_MAX = 64
RATE_IOPS_MIN = 2
"""One in each direction."""
RATE_IOPS_MAX = 10**9
"""fio counts in nanoseconds."""
SIZE = 'a size in bytes, or a text such as "256KiB",'
LEAST_SCALE = BLOCK_BYTES / catalogue.FULL_BYTES_PER_PROCESS
"""One block per process."""

Listed = BeforeValidator(_listed)
Text = Annotated[str, _wanted("a text", str)]
Flag = Annotated[bool, _wanted("true or false", bool)]
Bytes = Annotated[ByteSize, _wanted(SIZE, int, str)]
Whole = Annotated[int, _wanted("a whole number", int)]
Number = Annotated[float, _wanted("a number", int, float)]
Directory = Annotated[Text, AfterValidator(_existing_directory)]
SetupName = Annotated[str, BeforeValidator(_setup_name)]
ToolName = Annotated[Tool, _one_of(tuple(Tool))]
WorkloadName = Annotated[str, _one_of(tuple(catalogue.WORKLOADS))]
AttachName = Annotated[Attach, _one_of(tuple(Attach))]
HookName = Annotated[Attach, _one_of(tuple(attach for attach in Attach if attach is not Attach.AUTO))]
VariantName = Annotated[Variant, _one_of(tuple(Variant))]
KernelName = Annotated[str, _one_of(tuple(catalogue.KERNELS))]
FormatName = Annotated[Format, _one_of(tuple(Format))]
RateIops = Annotated[int | None, BeforeValidator(_rate_iops)]
RingBytes = Annotated[Bytes, _between(4096, 2**30), AfterValidator(_power_of_two)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Factors(_Table):
    """[factors]: each key one value or a list of values, which is crossed with the others."""

    setups: Annotated[tuple[SetupName, ...], Listed, Field(min_length=1)]
    tools: Annotated[tuple[ToolName, ...], Listed, Field(min_length=1)] = tuple(Tool)
    workloads: Annotated[tuple[WorkloadName, ...], Listed, Field(min_length=1)]
    processes: Annotated[tuple[Annotated[Whole, _between(1, 1024)], ...], Listed, Field(min_length=1)] = (4,)
    scale: Annotated[tuple[Annotated[Number, _between(LEAST_SCALE, 1024)], ...], Listed, Field(min_length=1)] = (1.0,)
    attach: Annotated[tuple[AttachName, ...], Listed, Field(min_length=1)] = (Attach.AUTO,)
    format: Annotated[tuple[FormatName, ...], Listed, Field(min_length=1)] = (Format.TEXT,)
    ringbuf_bytes: Annotated[tuple[RingBytes, ...], Listed, Field(min_length=1)] = (ByteSize(262144),)
    poll_ms: Annotated[tuple[Annotated[Whole, _between(1, 60000)], ...], Listed, Field(min_length=1)] = (100,)
    payload_bytes: Annotated[tuple[Annotated[Bytes, _between(1, 16384)], ...], Listed, Field(min_length=1)] = (
        ByteSize(4096),
    )
    variants: Annotated[tuple[VariantName, ...], Listed, Field(min_length=1)] = (Variant.FULL,)
    rate_iops: Annotated[tuple[RateIops, ...], Listed, Field(min_length=1)] = (None,)
    kernels: Annotated[tuple[KernelName, ...], Listed, Field(min_length=1)] = ()


class _Settings(_Table):
    placement: Annotated[Placement, _one_of(tuple(Placement))] = Placement.AUTO
    idle_s: Annotated[Number, _between(0, 3600)] = Settings().idle_s
    sample_interval_s: Annotated[Number, _between(0.05, 60)] = Settings().sample_interval_s
    keep_output: Flag = False


class _Machine(_Table):
    """[machine]: each virtual machine of the testbed `vm`."""

    cpus: Annotated[Whole, _between(1, 1024)] = Machine().cpus
    memory_bytes: Annotated[Bytes, _between(2**30)] = ByteSize(Machine().memory_bytes)
    accelerator: Annotated[Accelerator, _one_of(tuple(Accelerator))] = Machine().accelerator
    boot: Annotated[Boot, _one_of(tuple(Boot))] = Machine().boot


class _Paths(_Table):
    data: Directory | None = None
    output: Directory | None = None


class _Setup(_Table):
    """[setups.NAME]: a tracer of the user's own."""

    command: Annotated[tuple[Text, ...], Listed, AfterValidator(_executable)]
    description: Text = "brought by the study"
    formats: Annotated[tuple[FormatName, ...], Listed, Field(min_length=1)] = tuple(Format)
    attaches: Annotated[tuple[HookName, ...], Listed, Field(min_length=1)] = (Attach.TRACEPOINT,)
    tools: Annotated[tuple[ToolName, ...], Listed, Field(min_length=1)] = tuple(Tool)


class _Study(_Table):
    name: Annotated[Text, AfterValidator(_file_name)]
    description: Text = ""
    image: Annotated[str, _one_of(tuple(catalogue.IMAGES))] = "trixie"
    testbed: Annotated[str, _one_of(tuple(catalogue.TESTBEDS))] = "host"
    seed: Annotated[Whole, _between(0)] = 1
    repetitions: Annotated[Whole, _between(1, 10000)] = 3
    output_limit_bytes: Annotated[Bytes, _between(1)] | None = None
    factors: _Factors
    hosts: Annotated[tuple[str, ...], BeforeValidator(_host_names)] = ()
    assignment: Annotated[Assignment, _one_of(tuple(Assignment))] = Assignment.CROSSED
    settings: _Settings = _Settings()
    paths: _Paths = _Paths()
    machine: _Machine = _Machine()
    setups: dict[Annotated[str, AfterValidator(_file_name), AfterValidator(_not_ours)], _Setup] = {}


def find(name_or_path: str) -> Path:
    """Return the file of a shipped study, or the path of a user's own.

    Raises:
        StudyError: it is neither; lists the shipped studies.
    """
    shipped = {path.stem: path for path in catalogue.study_files()}
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix == ".toml" or "/" in name_or_path:
        raise StudyError(f"study file {name_or_path!r} does not exist")
    raise StudyError(f"study {choice_message(name_or_path, tuple(shipped))}", "or give the path of a .toml file")


@dataclass(frozen=True, slots=True)
class Override:
    """A value given on the command line in place of the study file's."""

    option: str
    value: object


def load(path: Path, overrides: Mapping[str, Override] | None = None) -> Study:
    """Read a study file.

    Args:
        path: a TOML file.
        overrides: by dotted key ("factors.setups"), what replaces the file's value.

    Raises:
        StudyError: the file cannot be read, is no TOML, or a key or value is wrong.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: cannot be read: not UTF-8 text at byte {error.start}") from error
    return parse(text, str(path), overrides)


def parse(text: str, where: str, overrides: Mapping[str, Override] | None = None) -> Study:
    """Slot TOML text into a Study; `where` names its origin in messages.

    Raises:
        StudyError: the text is no TOML, or a key or value is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{where}: not valid TOML: {error}") from error
    overrides = overrides or {}
    for dotted, override in overrides.items():
        _set(raw, dotted, override.value, where)
    try:
        brought = raw.get("setups")
        context = _Context(Path(where).parent, tuple(brought) if isinstance(brought, dict) else ())
        given = _Study.model_validate(raw, context=context)
    except ValidationError as error:
        # A misspelt key is told before the one that is missing because of it.
        found = sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        raise _study_error(found[0], where, overrides) from None
    _require_time(given, _place("factors.rate_iops", where, overrides))
    return replace(_resolve(given, where), description=_description(given.description, overrides))


def _description(text: str, overrides: Mapping[str, Override]) -> str:
    """Say by which options the study is not what its file describes."""
    options = [own.option for key, own in overrides.items() if key.startswith("factors.") or key == "repetitions"]
    return f"{text}; changed by {', '.join(options)}" if text and options else text


def _place(dotted: str, where: str, overrides: Mapping[str, Override]) -> str:
    """Name a key as the user wrote it."""
    return f"option {overrides[dotted].option}" if dotted in overrides else f"{where}: {dotted}"


def _set(raw: dict[str, Any], dotted: str, value: object, where: str) -> None:
    *tables, key = dotted.split(".")
    for name in tables:
        raw = raw.setdefault(name, {})
        if not isinstance(raw, dict):
            raise StudyError(f"{where}: {name}: a table is wanted, as in [{name}]")
    raw[key] = value


def _resolve(given: _Study, where: str) -> Study:
    factors = given.factors
    virtual = given.testbed == "vm"
    kernels, hosts = _distinct(factors.kernels), given.hosts
    if not virtual and kernels:
        raise StudyError(f"{where}: factors.kernels: {', '.join(kernels)}: only testbed vm boots kernels", USE_VM)
    if not virtual and hosts not in ((), (LOCAL,)):
        raise StudyError(f"{where}: hosts: {', '.join(hosts)}: testbed host is this machine alone", USE_VM)
    return Study(
        name=given.name,
        description=given.description,
        image=given.image,
        testbed=given.testbed,
        seed=given.seed,
        repetitions=given.repetitions,
        factors=Factors(
            setups=tuple(name for name in _distinct(factors.setups) if name != VANILLA),
            tools=_distinct(factors.tools),
            workloads=_distinct(factors.workloads),
            processes=_distinct(factors.processes),
            scale=_distinct(factors.scale),
            attach=_distinct(factors.attach),
            format=_distinct(factors.format),
            ringbuf_bytes=tuple(int(n) for n in _distinct(factors.ringbuf_bytes)),
            poll_ms=_distinct(factors.poll_ms),
            payload_bytes=tuple(int(n) for n in _distinct(factors.payload_bytes)),
            variants=_distinct(factors.variants),
            rate_iops=_distinct(factors.rate_iops),
            kernels=(kernels or (next(iter(catalogue.KERNELS)),)) if virtual else (),
        ),
        settings=Settings(**given.settings.model_dump()),
        paths=Paths(**given.paths.model_dump()),
        output_limit_bytes=None if given.output_limit_bytes is None else int(given.output_limit_bytes),
        setups=tuple(_brought(name, setup) for name, setup in given.setups.items()),
        hosts=(hosts or ("vm1",)) if virtual else (LOCAL,),
        assignment=given.assignment,
        machine=Machine(**{**given.machine.model_dump(), "memory_bytes": int(given.machine.memory_bytes)}),
    )


def _require_time(given: _Study, place: str) -> None:
    """Refuse a rate at which the largest workload cannot end before its deadline."""
    scale, limits = max(given.factors.scale), [rate for rate in given.factors.rate_iops if rate is not None]
    ios, deadline_s = scale * catalogue.FULL_BYTES_PER_PROCESS / BLOCK_BYTES, Deadlines().workload_s
    if limits and ios / min(limits) > deadline_s:
        raise StudyError(
            f"{place}: at {min(limits)} I/Os per second, the {ios:.0f} I/Os of a process at scale {scale:g} take "
            f"{ios / min(limits):.0f} s, more than the {deadline_s:.0f} s that fio is given",
            f"choose {math.ceil(ios / deadline_s)} or more, or a smaller scale",
        )


def _brought(name: str, given: _Setup) -> Setup:
    return Setup(
        name=name,
        description=given.description,
        formats=_distinct(given.formats),
        attaches=_distinct(given.attaches),
        tools=_distinct(given.tools),
        command=given.command,
    )


USE_VM = 'choose testbed = "vm" (--testbed vm)'
"""What to do about a key that says something of virtual machines."""


def _study_error(details: ErrorDetails, where: str, overrides: Mapping[str, Override]) -> StudyError:
    """Say what pydantic found in our words, with the place as the user wrote it."""
    keys = [str(part) for part in details["loc"] if isinstance(part, str) and part != "[key]"]
    table, key = keys[:-1], keys[-1] if keys else ""
    dotted = ".".join(keys)
    place = _place(dotted, where, overrides)
    match details["type"]:
        case "extra_forbidden":
            valid = tuple(_table_of(table).model_fields)
            return StudyError(f"{place}: unknown key; {choice_message(key, valid)}")
        case "missing":
            return StudyError(f"{place}: this key is required", _hint(table, key))
        case "value_error":
            return StudyError(f"{place}: {details['ctx']['error']}")
        case "model_type":
            return StudyError(f"{place}: a table is wanted, as in [{dotted}]")
        case "dict_type":
            return StudyError(f"{place}: a table is wanted, as in [{dotted}.NAME]")
        case "too_short":
            return StudyError(f"{place}: the list is empty; give at least one value", _hint(table, key))
        case "byte_size" | "byte_size_unit":
            return StudyError(f"{place}: {_shown(details['input'])} is no size; {SIZE} is wanted")
    return StudyError(f"{place}: {_shown(details['input'])} cannot be used", _hint(table, key))


def _table_of(keys: Sequence[str]) -> type[BaseModel]:
    tables: dict[str, type[BaseModel]] = {
        "factors": _Factors,
        "settings": _Settings,
        "paths": _Paths,
        "machine": _Machine,
    }
    if len(keys) == 2 and keys[0] == "setups":
        return _Setup
    return tables[keys[-1]] if keys else _Study


_CHOICES: dict[str, Sequence[str]] = {
    "setups": (*catalogue.SETUPS, VANILLA),
    "tools": tuple(Tool),
    "workloads": tuple(catalogue.WORKLOADS),
    "attach": tuple(Attach),
    "format": tuple(Format),
    "variants": tuple(Variant),
    "kernels": tuple(catalogue.KERNELS),
}


def _hint(table: Sequence[str], key: str) -> str | None:
    if list(table) == ["factors"] and key in _CHOICES:
        return f"choose from: {', '.join(_CHOICES[key])}"
    if not table and key == "factors":
        return "a [factors] table has at least setups and workloads"
    if not table and key == "name":
        return 'give the study a name: name = "my-study"'
    return None
