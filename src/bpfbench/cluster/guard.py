# SPDX-License-Identifier: Apache-2.0
"""The guard of pickles: nothing of a process can be named by one, but what is allowed by name.

Dask's peers trust each other: its messages may hold pickles, which a receiver loads on many paths (results, their
types, exceptions, events, warnings), not all of which can be switched off. All an unpickler can do is by naming a class
or function; Python audits that (`pickle.find_class`, PEP 578), below whatever path led there. In a guarded process an
audit hook refuses every name that is not allowed: in the controller's all, in a scheduler's and a worker's all but the
few that a task of ours is made of. An audit hook cannot be taken off.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Set

LOG = logging.getLogger("bpfbench.cluster")

Name = tuple[str, str]
"""Of a module, and of something in it."""

TASKS = "bpfbench.cluster.worker"
"""Where the functions are that are submitted."""

OF_A_TASK: frozenset[Name] = frozenset(
    {
        ("dask._expr", "Expr._reconstruct"),
        ("dask._expr", "LLGExpr"),
        ("dask._task_spec", "Task"),
        (TASKS, "run_block"),
        (TASKS, "answer"),
        # Every scheduler hands this to every worker.
        ("distributed.shuffle._worker_plugin", "ShuffleWorkerPlugin"),
    }
)
"""What scheduler and workers may be sent: that a function of ours is to be called, with text and bytes."""

NOTHING: frozenset[Name] = frozenset()
"""What the controller may be sent."""


class RefusedError(Exception):
    """A pickle names what is not allowed."""


_installed: list[frozenset[Name]] = []


def only(allowed: Set[Name]) -> None:
    """From now on, refuse pickles in this process that name anything else. Once for all: it cannot be undone."""
    if _installed:
        _installed[0] = frozenset(allowed)
        return
    import dask.delayed  # noqa: F401 - it unpickles operators of its own when it is imported

    _installed.append(frozenset(allowed))
    sys.addaudithook(_audit)


def _audit(event: str, args: tuple[object, ...]) -> None:
    if event == "pickle.find_class" and args not in _installed[0]:
        LOG.warning("refused: a pickle that names %s.%s", *(str(arg)[:80] for arg in args[:2]))
        raise RefusedError(f"a pickle names {args[0]}.{args[1]}"[:200])
