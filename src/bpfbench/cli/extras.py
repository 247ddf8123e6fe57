# SPDX-License-Identifier: Apache-2.0
"""The packages that bpfbench is not always installed with: who wants one that is not there is told how to get it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

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

GLOBAL = Path("/opt/pipx")
"""Where `pipx --global` installs."""


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
    """Say how to get the packages of an extra: by the command that installs them where this bpfbench is."""
    first = TOO_NEW.get(extra)
    if first and sys.version_info >= first:
        return f"it has no release yet for Python {first[0]}.{first[1]} and newer: install bpfbench with an older one"
    try:
        installed = Distribution.from_name("bpfbench")
    except PackageNotFoundError:
        command = None
    else:
        command = _command(extra, installed, Path(sys.prefix))
    return command or f"install the extra `{extra}`: see `bpfbench docs install`"


def _command(extra: str, installed: Distribution, prefix: Path) -> str | None:
    """Return what is typed; None: uv wants what it installed from once more, and that is not known, or gone.

    pipx and uv leave a file of theirs in each environment that they make.
    """
    wanted = _requirements(extra, installed)
    if not wanted:
        return None
    argv: tuple[str, ...]
    if (prefix / "uv-receipt.toml").exists():
        source = _source(installed)
        # uv makes the environment anew, of what it is told this time.
        kept = [name for name in EXTRAS if name == extra or lacking(name) is None]
        argv = ("uv", "tool", "install", f"{source}[{','.join(kept)}]") if source else ()
    elif (prefix / "pipx_metadata.json").exists():
        everybodys = ("--global",) if prefix.is_relative_to(GLOBAL) else ()
        argv = ("pipx", "inject", *everybodys, prefix.name, *wanted)
    elif find_spec("pip"):
        argv = (sys.executable, "-m", "pip", "install", *wanted)
    else:
        argv = ("uv", "pip", "install", "--python", sys.executable, *wanted)
    roots = prefix.stat().st_uid == 0 and (os.geteuid() != 0 or "SUDO_UID" in os.environ)
    return shlex.join((*(("sudo",) if roots else ()), *argv)) if argv else None


def _requirements(extra: str, installed: Distribution) -> tuple[str, ...]:
    """Return what an extra requires, without the condition that it is asked for."""
    lines = (line.partition(";") for line in installed.requires or ())
    return tuple(what.strip() for what, _, condition in lines if f'extra == "{extra}"' in condition.replace("'", '"'))


def _source(installed: Distribution) -> str | None:
    """Return the directory or archive that was installed, if it is still there (PEP 610)."""
    address = urlsplit(json.loads(installed.read_text("direct_url.json") or "{}").get("url", ""))
    path = unquote(address.path)
    return path if address.scheme == "file" and Path(path).exists() else None
