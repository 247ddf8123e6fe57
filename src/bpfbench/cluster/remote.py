# SPDX-License-Identifier: Apache-2.0
"""What is done on a host before bpfbench is there: read by its Python from stdin, with the standard library alone."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
import zipfile
from pathlib import Path


def probe(cache: Path) -> None:
    """Say what this host is, in JSON, and make the directory of what is brought there."""
    ours = cache / "cluster"
    ours.mkdir(parents=True, exist_ok=True)
    ours.chmod(0o700)
    for name in ("code", "packages", "incoming"):
        (ours / name).mkdir(exist_ok=True)
    facts = {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "libc": list(platform.libc_ver()),
        "uid": os.geteuid(),
        "time": time.time(),
        "free_bytes": shutil.disk_usage(ours).free,
        "code": _finished(ours / "code"),
        "packages": _finished(ours / "packages"),
        "incoming": {path.name: path.stat().st_size for path in (ours / "incoming").iterdir()},
    }
    json.dump(facts, sys.stdout)


def _finished(folder: Path) -> list[str]:
    """Return what is whole in a folder, newest last."""
    whole = (path for path in folder.iterdir() if not path.name.startswith("."))
    return [path.name for path in sorted(whole, key=lambda path: path.stat().st_ctime)]


def install(into: Path, *wheels: str) -> None:
    """Unpack wheels from INCOMING into a directory, whole or not at all; what has been unpacked is deleted there."""
    incoming = into.parent.parent / "incoming"
    partial = into.with_name(f".{into.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in wheels:
        with zipfile.ZipFile(incoming / name) as wheel:
            wheel.extractall(partial)
    for scheme in ("purelib", "platlib"):  # what wheels have for there, aside of the rest
        for folder in partial.glob(f"*.data/{scheme}"):
            shutil.copytree(folder, partial, dirs_exist_ok=True)
    partial.rename(into)
    for name in wheels:
        (incoming / name).unlink(missing_ok=True)


def purge(cache: Path) -> None:
    """Delete all that was brought but images."""
    shutil.rmtree(cache / "cluster", ignore_errors=True)


if __name__ == "__main__":
    action, where, *words = sys.argv[1:]
    if action == "probe":
        probe(Path(where))
    elif action == "install":
        install(Path(where), *words)
    else:
        purge(Path(where))
