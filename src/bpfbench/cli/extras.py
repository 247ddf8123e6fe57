# SPDX-License-Identifier: Apache-2.0
"""The packages that bpfbench is not always installed with: who wants one that is not there is told how to get it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from bpfbench.errors import UsageError

EXTRAS = {
    "report": ("matplotlib", "polars"),
    "history": ("ruptures",),
    "tune": ("optuna",),
    "cluster": ("asyncssh", "bokeh", "cryptography", "distributed"),
}
"""The modules that each extra of the package brings, as `[project.optional-dependencies]` has them."""

TOO_NEW = {"history": (3, 14)}
"""The first Python that an extra cannot be had for, as its marker in `[project.optional-dependencies]` has it."""


def lacking(extra: str) -> str | None:
    """Return the first module of an extra that is not installed; None: all are."""
    return next((module for module in EXTRAS[extra] if find_spec(module) is None), None)


def require(extra: str, what: str) -> None:
    """Refuse to go on without the packages of an extra.

    Args:
        extra: its name, of EXTRAS.
        what: wants them.

    Raises:
        UsageError: says which is not there, and how to get them.
    """
    if module := lacking(extra):
        raise UsageError(f"{what} wants {module}, which is not installed", hint(extra))


def hint(extra: str) -> str:
    """Say how to get the packages of an extra."""
    first = TOO_NEW.get(extra)
    if first and sys.version_info >= first:
        return f"it has no release yet for Python {first[0]}.{first[1]} and newer: install bpfbench with an older one"
    return f"pip install 'bpfbench[{extra}]'"
