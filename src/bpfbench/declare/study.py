# SPDX-License-Identifier: Apache-2.0
"""A study as TOML text, read and written. Every key is a row of factors.py; messages name file, key and choices."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpfbench import catalogue
from bpfbench.declare import targets, tracers
from bpfbench.errors import StudyError
from bpfbench.factors import FACTORS, POISSON_IOPS_MAX, REQUIRED, STUDY, TUNED, Key
from bpfbench.model import (
    BLOCK_BYTES,
    LOCAL,
    UNLIMITED,
    VANILLA,
    Criteria,
    Deadlines,
    DrivenTarget,
    Factors,
    Machine,
    Paths,
    RateProcess,
    Settings,
    Setup,
    Study,
    Tool,
    TunedValues,
)
from bpfbench.model.command import COMMAND
from bpfbench.values import EmptyError, Reader, choice_message, one_of, several

TABLES = {"factors": Factors, "settings": Settings, "criteria": Criteria, "paths": Paths, "machine": Machine}
"""The tables of a study, but for those of the setups and targets it brings."""

BROUGHT = ("setups", "targets", "tuned")
"""What a study can bring: [setups.NAME], [targets.NAME], and [tuned.NAME] of a setup, ours or brought."""

HINTS = {
    "factors": "a [factors] table has at least setups, and workloads or targets",
    "name": 'give the study a name: name = "my-study"',
    **{key.dotted: f"choose from: {', '.join(key.choices)}" for key in FACTORS if key.choices},
}
"""What to do about a key that is missing or an empty list."""

USE_VM = 'choose testbed = "vm" (--testbed vm)'
"""What to do about a key that says something of virtual machines."""


@dataclass(frozen=True, slots=True)
class Override:
    """A value given on the command line in place of the study file's."""

    option: str
    value: object


def find(name_or_path: str) -> Path:
    """Return the file of a shipped study, or the path of a user's own.

    Raises:
        StudyError: it is neither; lists the shipped studies.
    """
    shipped = catalogue.studies()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    folders = {name.rpartition("/")[0] for name in shipped}
    if path.suffix == ".toml" or name_or_path.rpartition("/")[0] not in folders:
        fault = "is not a regular file" if path.exists() else "does not exist"
        raise StudyError(f"study file {name_or_path!r} {fault}")
    raise StudyError(f"study {choice_message(name_or_path, tuple(shipped))}", "or give the path of a .toml file")


def load(path: Path, overrides: Mapping[str, Override] | None = None) -> Study:
    """Read a study file.

    Args:
        path: a TOML file.
        overrides: by dotted key ("factors.setups"), what replaces the file's value.

    Raises:
        StudyError: the file cannot be read, is no TOML, or a key or value is wrong.
    """
    try:
        content = path.read_bytes().decode()
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: cannot be read: not UTF-8 text at byte {error.start}") from error
    return parse(content, str(path), overrides)


def parse(content: str, where: str, overrides: Mapping[str, Override] | None = None) -> Study:
    """Slot TOML text into a Study; `where` names its origin in messages.

    Raises:
        StudyError: the text is no TOML, or a key or value is wrong.
    """
    try:
        raw = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{where}: not valid TOML: {error}") from error
    return declared(raw, where, overrides)


def given(dotted: str, overrides: Mapping[str, Override]) -> Any:
    """Return the value of one key that the options say by themselves; None where they do not.

    Raises:
        StudyError: the value is wrong.
    """
    if dotted not in overrides:
        return None
    key = next(key for key in STUDY if key.dotted == dotted)
    return _Origin("", overrides).read(dotted, key.read, overrides[dotted].value)


def around(name: str, overrides: Mapping[str, Override], file: str | None = None) -> Study:
    """Return a study around what is tried apart from any, so that one place judges the options: they say it all.

    Args:
        name: of what is tried.
        overrides: what the options say, by dotted key.
        file: a study, shipped or of the user's own, that says the rest.

    Raises:
        StudyError: there is no such study, or a value is wrong.
    """
    if file:
        return load(find(file), overrides)
    factors = {} if "factors.targets" in overrides else {"workloads": "read"}
    return declared({"name": name, "factors": factors}, name, overrides)


def brought_by(file: str | None) -> tuple[Setup, ...]:
    """Return the setups that a study brings; none without one.

    Raises:
        StudyError: there is no such study, or it is wrong.
    """
    return load(find(file)).setups if file else ()


def declared(raw: dict[str, Any], where: str, overrides: Mapping[str, Override] | None = None) -> Study:
    """Slot what a study file says, as tomllib reads it, into a Study.

    Raises:
        StudyError: a key or value is wrong.
    """
    origin = _Origin(where, overrides or {})
    tables = origin.tables(raw)
    folder = Path(where).parent
    brought, driven, tuned = ([name for kind, name in map(_split, tables) if kind == what] for what in BROUGHT)
    keys: dict[str, list[Key]] = {name: [] for name in ("", *TABLES)}
    tools = _tools_of_commands(tables[f"setups.{name}"] for name in brought)
    for key in _study_keys(brought, driven, tools, tables.get("factors")):
        keys[key.table].append(key)
    keys |= {f"setups.{name}": list(tracers.keys(folder, tables[f"setups.{name}"])) for name in brought}
    keys |= {f"targets.{name}": list(targets.keys(folder)) for name in driven}
    keys |= {f"tuned.{name}": list(TUNED) for name in tuned}
    origin.require_known(tables, keys)
    found = {name: origin.values(name, tables.get(name), own) for name, own in keys.items()}
    top, factors = found[""], found["factors"]
    setups = {name: origin.setup(name, found[f"setups.{name}"], folder) for name in brought}
    for name in tuned:
        origin.read(f"tuned.{name}", one_of((*catalogue.SETUPS, *brought)), name)
    made = {name: origin.target(name, found[f"targets.{name}"], folder) for name in driven}
    made |= {name: targets.shipped(name) for name in factors["targets"] if name not in made}
    origin.require_one_meaning(made.values())
    if factors["workloads"]:
        origin.require_time(factors["scale"], factors["rate_iops"])
        origin.require_bursts(factors)
        origin.require_poisson(factors["rate_process"], factors["rate_iops"])
    origin.require_drivers(factors, made)
    origin.fit_testbed(top, factors)
    factors["setups"] = tuple(name for name in factors["setups"] if name != VANILLA)
    factors["tools"] = factors["tools"] or _tools_of(factors["setups"], catalogue.SETUPS | setups)
    return Study(
        **{**top, "description": origin.description(top["description"])},
        **{name: make(**found[name]) for name, make in TABLES.items()},
        setups=tuple(setups.values()),
        targets=tuple(made.values()),
        tuned=tuple(TunedValues(name, **found[f"tuned.{name}"]) for name in tuned),
    )


def _tools_of_commands(tables: Iterable[object]) -> tuple[str, ...]:
    """Return the tools that are commands' alone, by the tables of setups as they are written."""
    own = [given for given in tables if isinstance(given, dict) and given.get("kind") == "command"]
    named = (
        (given["tools"] if isinstance(given.get("tools"), dict) else [given.get("tool", COMMAND)]) for given in own
    )
    return tuple(dict.fromkeys(str(tool) for tools in named for tool in tools))


def _tools_of(names: Iterable[str], setups: Mapping[str, Setup]) -> tuple[str, ...]:
    """Return the tools that are meant where a study that brings commands names none: all that its setups have."""
    found = dict.fromkeys(tool for name in names for tool in setups[name].tools)
    return tuple(sorted(found, key=lambda tool: list(Tool).index(Tool(tool)) if tool in tuple(Tool) else len(Tool)))


def _study_keys(setups: Sequence[str], driven: Sequence[str], tools: Sequence[str], given: object) -> Iterator[Key]:
    """Yield the keys of a study that brings these, and says this of factors."""
    choices = {
        "factors.setups": (*catalogue.SETUPS, *setups, VANILLA),
        "factors.targets": (*catalogue.TARGETS, *driven),
    }
    for key in STUDY:
        if key.dotted in choices:
            yield replace(key, read=several(one_of(choices[key.dotted])))
        elif key.dotted == "factors.tools" and tools:
            yield replace(key, read=several(one_of(tuple(dict.fromkeys((*Tool, *tools))))), default=())
        elif key.dotted == "factors.workloads" and isinstance(given, dict) and "targets" in given:
            yield replace(key, default=())
        else:
            yield key


def _split(table: str) -> tuple[str, str]:
    kind, _, name = table.partition(".")
    return kind, name


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the values of a study are from."""

    where: str
    """The study file."""
    overrides: Mapping[str, Override]

    def named(self, dotted: str) -> str:
        """Name a key as the user wrote it."""
        given = self.overrides.get(dotted)
        return f"option {given.option}" if given else f"{self.where}: {dotted}"

    def tables(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables of a study, by name, with what options say in place of the file."""
        found = {"": {**raw}, **{name: raw[name] for name in TABLES if name in raw}}
        for kind in BROUGHT:
            brought = raw.get(kind, {})
            if not isinstance(brought, dict):
                raise self._no_table(kind, f"{kind}.NAME")
            found |= {f"{kind}.{name}": own for name, own in brought.items()}
        for dotted, override in self.overrides.items():
            table, _, name = dotted.rpartition(".")
            if not isinstance(own := found.get(table, {}), dict):
                raise self._no_table(table)
            found[table] = {**own, name: override.value}
        return found

    def _no_table(self, name: str, form: str = "") -> StudyError:
        return StudyError(f"{self.where}: {name}: a table is wanted, as in [{form or name}]")

    def require_known(self, tables: Mapping[str, Any], keys: Mapping[str, Sequence[Key]]) -> None:
        """Refuse a misspelt key, before the one that is missing because of it."""
        valid = {table: [key.name for key in own] for table, own in keys.items()}
        valid[""] = [*dict.fromkeys(key.table or key.name for key in STUDY), *BROUGHT]
        for table, names in valid.items():
            own = tables.get(table)
            for name in own if isinstance(own, dict) else ():
                if name not in names:
                    raise StudyError(f"{self.named(_dotted(table, name))}: unknown key; {choice_message(name, names)}")

    def values(self, table: str, given: Any, keys: Sequence[Key]) -> dict[str, Any]:
        """Read a table, which is None where there is none."""
        if given is None and any(key.default is REQUIRED for key in keys):
            raise self._missing(table)
        if not isinstance(given, dict | None):
            raise self._no_table(table)
        return {key.name: self._value(_dotted(table, key.name), key, given or {}) for key in keys}

    def _value(self, dotted: str, key: Key, given: Mapping[str, Any]) -> Any:
        if key.name in given:
            return self.read(dotted, key.read, given[key.name])
        if key.default is REQUIRED:
            raise self._missing(dotted)
        return key.default

    def _missing(self, dotted: str) -> StudyError:
        return StudyError(f"{self.named(dotted)}: this key is required", HINTS.get(dotted))

    def read(self, dotted: str, reader: Reader, value: Any) -> Any:
        """Read the value of a key."""
        try:
            return reader(value)
        except ValueError as error:
            hint = HINTS.get(dotted) if isinstance(error, EmptyError) else None
            raise StudyError(f"{self.named(dotted)}: {error}", hint) from None

    def setup(self, name: str, values: Mapping[str, Any], folder: Path) -> Setup:
        """Make a setup that the study brings."""
        self.read(f"setups.{name}", tracers.own_name, name)
        found: Setup = self.read(f"setups.{name}", lambda _: tracers.made(name, values, folder), None)
        return found

    def target(self, name: str, values: Mapping[str, Any], folder: Path) -> DrivenTarget:
        """Make a target that the study brings."""
        self.read(f"targets.{name}", targets.own_name, name)
        found: DrivenTarget = self.read(f"targets.{name}", lambda _: targets.made(name, values, folder), None)
        return found

    def require_one_meaning(self, driven: Iterable[DrivenTarget]) -> None:
        """Refuse two targets whose metrics of one name are not the same: they stand in one column."""
        known: dict[str, tuple[str, str, str]] = {}
        for target in driven:
            for metric in target.own_metrics:
                said = metric.unit, metric.better.value, target.name
                unit, better, other = known.setdefault(metric.name, said)
                if (unit, better) != said[:2]:
                    raise StudyError(
                        f"{self.where}: targets.{target.name}.metrics.{metric.name}: has another unit or direction than"
                        f" that of {other}",
                        "choose another name",
                    )

    def require_time(self, scales: Sequence[float], rates: Sequence[int | None]) -> None:
        """Refuse a rate at which the largest workload cannot end before its deadline."""
        scale, limits = max(scales), [rate for rate in rates if rate is not None]
        ios, deadline_s = scale * catalogue.FULL_BYTES_PER_PROCESS / BLOCK_BYTES, Deadlines().workload_s
        if limits and ios / min(limits) > deadline_s:
            raise StudyError(
                f"{self.named('factors.rate_iops')}: at {min(limits)} I/Os per second, the {ios:.0f} I/Os of a "
                f"process at scale {scale:g} take {ios / min(limits):.0f} s, more than the {deadline_s:.0f} s that fio "
                "is given",
                f"choose {math.ceil(ios / deadline_s)} or more, or a smaller scale",
            )

    def require_bursts(self, factors: Mapping[str, Any]) -> None:
        """Refuse bursts that a target cannot have: without a mean rate, in two directions, or fewer than two."""
        most, ios = max(factors["burst_ios"]), min(factors["scale"]) * catalogue.FULL_BYTES_PER_PROCESS / BLOCK_BYTES
        if most == 1 or min(factors["duty_percent"]) == 100:
            return
        both = [name for name in factors["workloads"] if name in catalogue.BOTH_WAYS]
        if factors["rate_iops"] == (None,):
            why, hint = "bursts want a mean rate, and rate_iops is unlimited", "give one: --rate-iops 5000"
        elif both:
            why = f"workload {', '.join(both)} cannot have bursts: fio's pauses count in one direction only"
            hint = f"choose from: {', '.join(name for name in catalogue.WORKLOADS if name not in catalogue.BOTH_WAYS)}"
        elif ios < 2 * most:
            why = f"a process that does {ios:.0f} I/Os has no two bursts of {most}"
            hint = f"choose {ios // 2:.0f} or less, or a larger scale"
        else:
            return
        raise StudyError(f"{self.named('factors.burst_ios')}: {why}", hint)

    def require_poisson(self, processes: Sequence[RateProcess], rates: Sequence[int | None]) -> None:
        """Refuse I/Os at random without a mean rate, or at one that fio does not keep."""
        limits = [rate for rate in rates if rate is not None]
        if RateProcess.POISSON not in processes:
            return
        if not limits:
            why, hint = "a Poisson process wants a mean rate, and rate_iops is unlimited", "give one: --rate-iops 5000"
        elif max(limits) > POISSON_IOPS_MAX:
            why = f"fio keeps no Poisson process of {max(limits)} I/Os per second: it draws whole microseconds"
            hint = f"choose a rate of {POISSON_IOPS_MAX} or less"
        else:
            return
        raise StudyError(f"{self.named('factors.rate_process')}: {why}", hint)

    def require_drivers(self, factors: Mapping[str, Any], made: Mapping[str, DrivenTarget]) -> None:
        """Refuse rates that nothing of the study can be driven at."""
        names = factors["targets"]
        if factors["workloads"] or None in factors["rate_iops"] or any(made[name].drive_at for name in names):
            return
        able = [name for name in catalogue.TARGETS if targets.shipped(name).drive_at]
        raise StudyError(
            f"{self.named('factors.rate_iops')}: {', '.join(names)}: drivers without drive_at keep no rate",
            f"choose a target that has it, as {', '.join(able)}, or leave the rate unlimited",
        )

    def fit_testbed(self, top: dict[str, Any], factors: dict[str, Any]) -> None:
        """Fill in hosts and kernels by the testbed, and refuse those it cannot have."""
        cluster = top["testbed"] == "cluster"
        if cluster:
            top["below"] = top["below"] or "host"
        elif top["below"]:
            raise StudyError(f"{self.named('below')}: only testbed cluster has one below", "--testbed cluster")
        virtual = "vm" in (top["testbed"], top["below"])
        if virtual:
            factors["kernels"] = factors["kernels"] or (next(iter(catalogue.KERNELS)),)
        elif factors["kernels"]:
            named = ", ".join(factors["kernels"])
            raise StudyError(f"{self.named('factors.kernels')}: {named}: only testbed vm boots kernels", USE_VM)
        if cluster:
            return  # without hosts, it is run on those that are there
        if virtual:
            top["hosts"] = top["hosts"] or ("vm1",)
            return
        if top["hosts"] not in ((), (LOCAL,)):
            named = ", ".join(top["hosts"])
            raise StudyError(f"{self.named('hosts')}: {named}: testbed host is this machine alone", USE_VM)
        top["hosts"] = (LOCAL,)

    def description(self, said: str) -> str:
        """Say by which options the study is not what its file describes."""
        own = ("factors.", "repetitions")
        options = [override.option for key, override in self.overrides.items() if key.startswith(own)]
        return f"{said}; changed by {', '.join(options)}" if said and options else said


def _dotted(table: str, name: str) -> str:
    return f"{table}.{name}" if table else name


def to_toml(study: Study) -> str:
    """Write a study, so that a run can be repeated by one command; parse() reads it back as it was."""
    lines = _lines((key.name, getattr(study, key.name)) for key in STUDY if not key.table)
    for table in TABLES:
        found = _lines((key.name, getattr(getattr(study, table), key.name)) for key in STUDY if key.table == table)
        lines += ["", f"[{table}]", *found] if found else []
    for setup in study.setups:
        lines += _nested(f"setups.{json.dumps(setup.name)}", tracers.written(setup))
    for own in study.tuned:
        lines += ["", f"[tuned.{json.dumps(own.setup)}]", *_lines(own.values.items())]
    for target in study.targets:
        if not target.shipped:
            lines += _nested(f"targets.{json.dumps(target.name)}", targets.written(target))
    return "\n".join(lines) + "\n"


def _nested(table: str, values: Mapping[str, Any]) -> list[str]:
    """Write a table, and the tables in it."""
    inner = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = ["", f"[{table}]", *_lines((name, value) for name, value in values.items() if name not in inner)]
    return lines + [line for name, own in inner.items() for line in _nested(f"{table}.{json.dumps(name)}", own)]


def _lines(values: Iterable[tuple[str, Any]]) -> list[str]:
    """Write keys and values: JSON's spelling is TOML's too. In a list, None is a rate without a limit."""
    found = {}
    for name, value in values:
        if value not in (None, (), (LOCAL,)):
            items = [UNLIMITED if item is None else item for item in value] if isinstance(value, tuple) else value
            found[name] = json.dumps(items, ensure_ascii=False)
    return [f"{name} = {value}" for name, value in found.items()]
