# SPDX-License-Identifier: Apache-2.0
"""Where a cluster's scheduler is, and what is needed to reach it. Known without Dask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bpfbench import soundness
from bpfbench.errors import StoreError
from bpfbench.store import write_whole

FILE = "connection.json"
"""Where a run directory keeps by what it was begun; paths, and no keys. That one may do without certificates is not
kept: a run directory may be somebody else's, and whoever is believed without them sends what he likes."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a cluster's scheduler is, and what is needed to reach it."""

    scheduler: str
    """Its address, such as tls://10.0.0.1:8786."""
    certificates: Path | None = None
    """A directory of them; None: none."""
    insecure: bool = False
    """Whether to do without them on a network."""


def keep(run_dir: Path, connection: Connection) -> None:
    """Have a run directory say by what it was begun, so that it can be gone on with."""
    certificates = str(connection.certificates.absolute()) if connection.certificates else None
    told = {"scheduler": connection.scheduler, "certificates": certificates}
    write_whole(run_dir / FILE, json.dumps(told) + "\n")


def kept(run_dir: Path) -> Connection | None:
    """Return by what a run was begun, or last gone on with; None where it does not say.

    Raises:
        StoreError: it is not to be believed, being another user's or a link, or makes no sense.
    """
    path = run_dir / FILE
    try:
        told = soundness.parsed(soundness.content(path, soundness.trusted().users))
        certificates = Path(told["certificates"]) if told["certificates"] else None
        if certificates and not (certificates.is_absolute() and _is_elsewhere(certificates, run_dir)):
            raise ValueError("its certificates come with the run")
        return Connection(str(told["scheduler"]), certificates)
    except FileNotFoundError:
        return None
    except OSError as error:
        fault = error.strerror
    except (KeyError, TypeError):
        fault = "it does not say where a scheduler is"
    except ValueError as error:
        fault = str(error)
    raise StoreError(f"{path}: {fault}", "say where the cluster is: --hosts FILE.toml, or --scheduler tls://HOST:PORT")


def _is_elsewhere(path: Path, run_dir: Path) -> bool:
    return not path.resolve().is_relative_to(run_dir.resolve())
