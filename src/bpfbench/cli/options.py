# SPDX-License-Identifier: Apache-2.0
"""Options in place of what a study file says."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from cyclopts import Group, Parameter, Token

from bpfbench.declare import hosts
from bpfbench.declare.hosts import Hosts
from bpfbench.declare.study import Override, given
from bpfbench.errors import UsageError
from bpfbench.factors import STUDY, Factor, Key
from bpfbench.model import Criteria
from bpfbench.values import choice_message, seconds

FACTOR_OPTIONS = Group("Factors", help="Override the study; several values, separated by commas, are crossed.")
TRIAL_OPTIONS = Group("How trials are run", help="Override the study.")
MACHINE_OPTIONS = Group("Virtual machines", help="Override the study; with --testbed vm only.")

WORKLOADS, TARGETS = "factors.workloads", "factors.targets"
ONE_OR_SEVERAL = ("factors.setups", "factors.tools", WORKLOADS, TARGETS)
"""Keys whose options may be typed in the singular as well."""
FIO = "fio-"

T = TypeVar("T", bound="Options")


class _Typed(str):
    """The value of an option that has two names."""

    __slots__ = ("option",)
    option: str
    """The one that was typed."""


def _typed(_: type, tokens: Sequence[Token]) -> _Typed:
    """Read the value of an option that has two names."""
    value = _Typed(tokens[0].value)
    value.option = tokens[0].keyword or ""
    return value


class Options:
    """Options that replace keys of a study, each a field."""

    keys: ClassVar[Mapping[str, Key]]
    """By field."""
    several: ClassVar[bool] = True
    """Whether a factor may have several values."""

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of the study."""
        given = ((self.keys[field], value) for field, value in vars(self).items() if value is not None)
        return {key.dotted: Override(_named(key, value), _read(key, value, self.several)) for key, value in given}


def options_for(keys: Mapping[Key, str | None], group: Group | None = None) -> Callable[[type[T]], type[T]]:
    """Give a class a field for each of these keys of a study.

    Args:
        keys: each with what is taken where it is not given; None: what the study says.
        group: they are all shown in; None: each in that of its kind.
    """
    by_field = {key.dotted.replace(".", "_"): key for key in keys}

    def complete(cls: type[T]) -> type[T]:
        fields = [(field, _hint(key, group), keys[key]) for field, key in by_field.items()]
        # cyclopts does not look into a class whose module seems to be Python's.
        names = {"__module__": cls.__module__, "keys": by_field}
        made = make_dataclass(cls.__name__, fields, bases=(cls,), namespace=names, frozen=True, kw_only=True)
        return Parameter(name="*")(made)

    return complete


def _hint(key: Key, group: Group | None) -> Any:
    of_hosts = key.table in ("machine", "factors") or key.name in ("hosts", "assignment", "below")
    group = group or (FACTOR_OPTIONS if isinstance(key, Factor) else MACHINE_OPTIONS if of_hosts else TRIAL_OPTIONS)
    kind = bool if isinstance(key.default, bool) else str
    if key.dotted in ONE_OR_SEVERAL:
        names = key.flag, key.flag.removesuffix("s")
        return Annotated[str | None, Parameter(name=names, group=group, help=key.help, converter=_typed)]
    return Annotated[kind | None, Parameter(name=key.flag, group=group, help=key.help, negative="")]


def _named(key: Key, value: Any) -> str:
    """Return the option of a key as it was typed."""
    return value.option if isinstance(value, _Typed) else key.flag


def _read(key: Key, value: Any, several: bool) -> object:
    """Read what was given for a key of the study."""
    if isinstance(key, Factor):
        return split(value) if several else number(value)
    if key.name == "hosts":
        names = split(value)
        return names[0] if len(names) == 1 else names
    return number(value) if isinstance(key.default, int | float) and isinstance(value, str) else value


@options_for({key: None for key in STUDY if key.help})
class StudyOptions(Options):
    """What the command line sets in place of the study file."""

    def overrides(self) -> dict[str, Override]:
        """Return what was given, by key of the study. A workload of fio's is a target, too, called `fio-read`."""
        found = super().overrides()
        named = found.get(TARGETS)
        targets = named.value if named and isinstance(named.value, list) else []
        fios = [str(name) for name in targets if str(name).startswith(FIO)]
        if named and fios:
            own = found.get(WORKLOADS)
            given = own.value if own and isinstance(own.value, list) else []
            option = f"{own.option} and {named.option}" if own else named.option
            found[WORKLOADS] = Override(option, [*given, *(name.removeprefix(FIO) for name in fios)])
            found[TARGETS] = Override(named.option, [name for name in targets if name not in fios])
            if not found[TARGETS].value:
                del found[TARGETS]
        return found


def with_hosts(options: StudyOptions, *, resumes: bool) -> tuple[StudyOptions, Hosts | None]:
    """Read the file of hosts that --hosts names, if it is one; return options that name its hosts, but for a resume.

    Raises:
        UsageError: the file is wrong.
    """
    said = vars(options)
    if not str(said["hosts"] or "").endswith(".toml"):
        return options, None
    found = hosts.load(Path(said["hosts"]))
    named = ",".join(host.name for host in found.hosts)
    own = {"hosts": None} if resumes else {"hosts": named, "below": said["below"] or found.below}
    made: Any = type(options)  # whose fields no type checker knows
    return made(**said | own), found


@options_for({key: None for key in STUDY if key.table == "criteria"}, Group("What counts", help="Override the study."))
class CriteriaOptions(Options):
    """What the command line sets in place of what counts in a study."""

    def over(self, criteria: Criteria) -> Criteria:
        """Return what counts.

        Raises:
            StudyError: a value is wrong.
        """
        overrides = self.overrides()
        return replace(criteria, **{dotted.rpartition(".")[2]: given(dotted, overrides) for dotted in overrides})


KERNEL = Key("factors.kernels", str, (), "Which one boots: trixie, backports, sid.", "--kernel")


ALONE = ("testbed", "image", "cpus", "memory_bytes", "accelerator")


@options_for(dict.fromkeys((KERNEL, *(key for key in STUDY if key.name in ALONE))))
class TestbedOptions(Options):
    """Where tracers run that are tried apart from any study."""


ALL_NEEDS = "decided"
"""What --until calls them."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GoalOptions:
    """How many rounds there are, beyond the repetitions of the study."""

    time: Annotated[
        str | None,
        Parameter("--for", group=TRIAL_OPTIONS, help="Keep running rounds for this long, e.g. 10min; at least one."),
    ] = None
    until: Annotated[
        str | None,
        Parameter(
            group=TRIAL_OPTIONS,
            help="Keep running rounds until these needs are decided, e.g. memory,cpu; decided: all.",
        ),
    ] = None
    at_most: Annotated[
        str | None, Parameter(group=TRIAL_OPTIONS, help="With --until: stop after this long (default: 1h).")
    ] = None

    @property
    def open_ended(self) -> bool:
        """Whether there are rounds beyond the repetitions."""
        return self.time is not None or self.until is not None

    def needs(self) -> tuple[str, ...]:
        """Return the keys of the needs that are to be decided; empty: none is asked for."""
        if self.until is None:
            return ()
        from bpfbench.analysis.questions.needs import ALL_ROUND, NEEDS  # with numpy, which most verbs do not wait for

        keys = (*(need.key for need in NEEDS), ALL_ROUND)
        named = chosen("--until", self.until, (*keys, ALL_NEEDS))
        return keys if ALL_NEEDS in named else named

    def limit_s(self) -> float | None:
        """Return for how long there are rounds; None: that is not limited."""
        if self.at_most is not None and self.until is None:
            raise UsageError("option --at-most goes with --until", "for a time alone: --for")
        if self.time is not None and self.until is not None:
            raise UsageError("options --for and --until: choose one", "--until takes --at-most as its limit")
        option, given = ("--for", self.time) if self.until is None else ("--at-most", self.at_most or "1h")
        if given is None:
            return None
        try:
            return seconds(given)
        except ValueError as error:
            raise UsageError(f"option {option}: {error}") from None


def chosen(option: str, given: str, valid: Sequence[str]) -> tuple[str, ...]:
    """Return what was chosen, in the order of what there is.

    Raises:
        UsageError: something is not there.
    """
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in valid:
            raise UsageError(f"option {option}: {choice_message(name, valid)}")
    if not names:
        raise UsageError(f"option {option}: give at least one of: {', '.join(valid)}")
    return tuple(name for name in valid if name in names)


def split(text: str) -> list[object]:
    """Read the values of a list option: numbers where they are numbers."""
    return [number(word.strip()) for word in text.split(",") if word.strip()]


def number(word: str) -> object:
    """Read a number as TOML would; anything else stays text, for the study to judge."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word


DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}
SIZES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20}
PERCENT = {"": 1, "%": 1}


def quantity(option: str, text: str, units: dict[str, int], *, least: float = 0.0, most: float = math.inf) -> float:
    """Read a number with a unit, as TOML and people write them: 200k, 2e5, 200_000, 200,000.

    Raises:
        UsageError: it is none, or out of range.
    """
    digits = re.sub(r"(?<=\d)[_,](?=\d{3}(?!\d))", "", text.strip())
    found = re.fullmatch(r"((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(\S*)", digits)
    if found is None or found[2] not in units:
        allowed = ", ".join(unit for unit in units if unit not in ("", "K"))
        raise UsageError(f"option {option}: {text!r} is not a number, alone or with one of: {allowed}")
    value = float(found[1]) * units[found[2]]
    if not least <= value <= most:
        valid = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        raise UsageError(f"option {option}: {text} is out of range; valid is {valid}")
    return value
