# SPDX-License-Identifier: Apache-2.0
"""A resolved study as the TOML it could have come from, so that a run can be repeated by one command."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bpfbench.model import LOCAL, UNLIMITED, Settings, Setup, Study

_UNSET: tuple[Any, ...] = (None, (), {})
_INNER = {field.name for field in dataclasses.fields(Settings)} & {"deadlines"}
"""Keys of a study that no file can set."""


def to_toml(study: Study) -> str:
    """Write a study; study.parse() reads it back as it was."""
    tables: dict[str, Any] = {
        "factors": study.factors,
        "settings": study.settings,
        "paths": study.paths,
        "machine": study.machine,
    }
    top = {
        field.name: getattr(study, field.name)
        for field in dataclasses.fields(study)
        if field.name not in (*tables, "setups")
    }
    if study.hosts == (LOCAL,):
        del top["hosts"]
    lines = [*_keys(top)]
    for name, table in tables.items():
        found = [*_keys({key: value for key, value in dataclasses.asdict(table).items() if key not in _INNER})]
        lines += ["", f"[{name}]", *found] if found else []
    for setup in study.setups:
        lines += ["", f"[setups.{json.dumps(setup.name)}]", *_keys(_brought(setup))]
    return "\n".join(lines) + "\n"


def _brought(setup: Setup) -> dict[str, Any]:
    names = ("command", "description", "formats", "attaches", "tools")
    return {name: getattr(setup, name) for name in names}


def _keys(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if value not in _UNSET:
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """JSON's spelling of texts, numbers, truth and lists is TOML's too. In a list, None is a rate without a limit."""
    if isinstance(value, tuple):
        value = [UNLIMITED if item is None else item for item in value]
    return json.dumps(value, ensure_ascii=False)
