# SPDX-License-Identifier: Apache-2.0
"""The cases of the suite, by name. A new one is a function and a line of CASES in together.py or alone.py."""

from __future__ import annotations

from bpfbench.inside.conformance import alone, together

CASES = {case.name: case for case in (*together.CASES, *alone.CASES)}
