# SPDX-License-Identifier: Apache-2.0
"""What all unit tests share."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and so how wide bpfbench takes a terminal to be

# How long an example takes says nothing on a machine that is busy with something else.
settings.register_profile("bpfbench", deadline=None, max_examples=60)
settings.load_profile("bpfbench")
