# SPDX-License-Identifier: Apache-2.0
"""What all unit tests share."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says nothing on a machine that is busy with something else.
settings.register_profile("bpfbench", deadline=None, max_examples=60)
settings.load_profile("bpfbench")
