# SPDX-License-Identifier: Apache-2.0
"""JSON for the dataclasses of model/, with the standard library alone, because the trial runner has nothing else.

What a type's decoder is made of is worked out once per type; a run of ten thousand records is read in seconds.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(value: DataclassInstance, indent: int | None = 1) -> str:
    """Render a dataclass as JSON, in ASCII, so that no locale can spoil it."""
    return json.dumps(dataclasses.asdict(value), indent=indent) + "\n"


T = TypeVar("T")


def from_json(cls: type[T], text: str | bytes) -> T:
    """Parse JSON text into the dataclass `cls`.

    Raises:
        ValueError: the text is no JSON, or does not have the shape of `cls`; says which field.
    """
    return typing.cast("T", decode(cls, json.loads(text), cls.__name__))


def decode(hint: Any, data: Any, where: str) -> Any:
    """Slot plain JSON data into what the type `hint` says; `where` names the place in error messages.

    Raises:
        ValueError: the data does not have the shape of the hint.
    """
    try:
        return _decoder(hint)(data)
    except _MisfitError as misfit:
        raise ValueError(f"{where}{misfit.place}: {misfit.what}") from None


class _MisfitError(Exception):
    """Data that does not fit. Its place is put together on the way out, so that what fits pays nothing for it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.place = ""

    def within(self, place: str) -> _MisfitError:
        """Return itself, seen from one level further out."""
        self.place = place + self.place
        return self


_Decoder = Callable[[Any], Any]

_PLAIN = (bool, int, float)
"""Types whose values are taken as they are."""

LONGEST_SHARED = 40
"""Characters of a text that is kept once, however often it is read: names are, in thousands of records."""


@functools.cache
def _decoder(hint: Any) -> _Decoder:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda data: data
    if origin in (typing.Union, types.UnionType):
        (inner,) = (_decoder(arg) for arg in args if arg is not types.NoneType)
        return lambda data: None if data is None else inner(data)
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast("type", hint))
    if origin is tuple:
        return _tuple(_decoder(args[0]))
    if origin is dict:
        return _dict(_decoder(args[1]))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enum(hint)
    return {float: _float, str: _text}.get(hint) or functools.partial(_expect, hint)


def _dataclass(cls: type) -> _Decoder:
    hints = typing.get_type_hints(cls)
    fields = [f for f in dataclasses.fields(cls) if f.init]
    decoders = {f.name: _decoder(hints[f.name]) for f in fields}
    plain = {f.name: kind for f in fields for kind in _PLAIN if hints[f.name] in (kind, kind | None)}
    required = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    # What consists of text alone, such as a hook, is the same in many records.
    make = functools.lru_cache(cls) if set(hints.values()) == {str} else cls

    def decode_dataclass(data: Any) -> Any:
        found = {}
        for name, item in _expect(dict, data).items():
            if type(item) is plain.get(name):
                found[name] = item
            elif name not in decoders:
                raise _MisfitError(f"unknown field {name!r}")
            else:
                try:
                    found[name] = decoders[name](item)
                except _MisfitError as misfit:
                    raise misfit.within(f".{name}") from None
        if len(found) < len(decoders):
            for name in required:
                if name not in found:
                    raise _MisfitError(f"field {name!r} is missing")
        return make(**found)

    return decode_dataclass


def _dict(inner: _Decoder) -> _Decoder:
    def decode_dict(data: Any) -> Any:
        found = {}
        for name, item in _expect(dict, data).items():
            try:
                found[sys.intern(name)] = inner(item)
            except _MisfitError as misfit:
                raise misfit.within(f".{name}") from None
        return found

    return decode_dict


def _tuple(inner: _Decoder) -> _Decoder:
    def decode_tuple(data: Any) -> Any:
        found = []
        for item in _expect(list, data):
            try:
                found.append(inner(item))
            except _MisfitError as misfit:
                raise misfit.within(f"[{len(found)}]") from None
        return tuple(found)

    return decode_tuple


def _enum(cls: type[enum.Enum]) -> _Decoder:
    members = {member.value: member for member in cls}

    def decode_enum(data: Any) -> enum.Enum:
        if isinstance(data, str) and (found := members.get(data)):
            return found
        choices = ", ".join(str(member.value) for member in cls)
        raise _MisfitError(f"{data!r} is not one of: {choices}")

    return decode_enum


def _float(data: Any) -> Any:
    return float(data) if type(data) is int else _expect(float, data)


def _text(data: Any) -> Any:
    text = _expect(str, data)
    return sys.intern(text) if len(text) <= LONGEST_SHARED else text


def _expect(kind: type, data: Any) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise _MisfitError(f"expected {kind.__name__}, got {type(data).__name__}")
    return data
