# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of bpfbench as frozen dataclasses and enums. Standard library only; imports nothing of ours.

These types are used on both sides of the machine boundary: by the controller (declare, store, analysis) and by the
trial runner inside the image. Whatever crosses the boundary or is stored is one of them, as JSON (see codec.py).
All are imported from here but those of the drain rate (drain.py), the conformance suite (check.py) and commands of the
user's own (target.py).
"""

from bpfbench.model.choices import *  # noqa: F403
from bpfbench.model.content import *  # noqa: F403
from bpfbench.model.delivery import *  # noqa: F403
from bpfbench.model.driven import *  # noqa: F403
from bpfbench.model.factors import *  # noqa: F403
from bpfbench.model.record import *  # noqa: F403
from bpfbench.model.specs import *  # noqa: F403
from bpfbench.model.study import *  # noqa: F403
from bpfbench.model.trial import *  # noqa: F403
