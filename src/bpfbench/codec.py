# SPDX-License-Identifier: Apache-2.0
"""JSON for the dataclasses of model/, with the standard library alone, because the trial runner has nothing else.

What a type's decoder is made of is worked out once per type; a run of ten thousand records is read in seconds.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Iterator
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
        each = _decoder(args[1])
        return lambda data: _items(dict.fromkeys(_expect(dict, data), each), data)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enum(hint)
    return _float if hint is float else functools.partial(_expect, hint)


def _dataclass(cls: type) -> _Decoder:
    hints = typing.get_type_hints(cls)
    fields = [f for f in dataclasses.fields(cls) if f.init]
    decoders = {f.name: _decoder(hints[f.name]) for f in fields}
    required = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]

    def decode_dataclass(data: Any) -> Any:
        if unknown := _expect(dict, data).keys() - decoders.keys():
            raise _MisfitError(f"unknown field {min(unknown)!r}")
        for name in required:
            if name not in data:
                raise _MisfitError(f"field {name!r} is missing")
        return cls(**_items(decoders, data))

    return decode_dataclass


def _items(decoders: dict[str, _Decoder], given: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, item in given.items():
        try:
            found[name] = decoders[name](item)
        except _MisfitError as misfit:
            raise misfit.within(f".{name}") from None
    return found


def _tuple(inner: _Decoder) -> _Decoder:
    def items(data: Any) -> Iterator[Any]:
        for number, item in enumerate(_expect(list, data)):
            try:
                yield inner(item)
            except _MisfitError as misfit:
                raise misfit.within(f"[{number}]") from None

    return lambda data: tuple(items(data))


def _enum(cls: type[enum.Enum]) -> _Decoder:
    def decode_enum(data: Any) -> enum.Enum:
        try:
            return cls(data)
        except ValueError:
            choices = ", ".join(str(member.value) for member in cls)
            raise _MisfitError(f"{data!r} is not one of: {choices}") from None

    return decode_enum


def _float(data: Any) -> Any:
    return float(data) if type(data) is int else _expect(float, data)


def _expect(kind: type, data: Any) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise _MisfitError(f"expected {kind.__name__}, got {type(data).__name__}")
    return data
