# SPDX-License-Identifier: Apache-2.0
"""JSON for the dataclasses of model.py, with the standard library alone, because the trial runner has nothing else."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
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
    """Turn plain JSON data into what the type `hint` says; `where` names the place in error messages.

    Raises:
        ValueError: the data does not have the shape of the hint.
    """
    if hint is Any:
        return data
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        (inner,) = (arg for arg in args if arg is not types.NoneType)
        return decode(inner, data, where)
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(typing.cast("type", hint), data, where)
    if origin is tuple:
        return tuple(decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(_expect(list, data, where)))
    if origin is dict:
        return {key: decode(args[1], item, f"{where}.{key}") for key, item in _expect(dict, data, where).items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _decode_enum(hint, data, where)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return _expect(hint, data, where)


def _decode_enum(cls: type[enum.Enum], data: Any, where: str) -> enum.Enum:
    try:
        return cls(data)
    except ValueError:
        choices = ", ".join(str(member.value) for member in cls)
        raise ValueError(f"{where}: {data!r} is not one of: {choices}") from None


def _decode_dataclass(cls: type, data: Any, where: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    given = _expect(dict, data, where)
    if unknown := set(given) - set(fields):
        raise ValueError(f"{where}: unknown field {min(unknown)!r}")
    hints = typing.get_type_hints(cls)
    return cls(**{name: decode(hints[name], item, f"{where}.{name}") for name, item in _present(given, fields, where)})


def _present(given: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    for name, f in fields.items():
        if name not in given and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}: field {name!r} is missing")
    return list(given.items())


def _expect(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where}: expected {kind.__name__}, got {type(data).__name__}")
    return data
