# SPDX-License-Identifier: Apache-2.0
"""Writes a resolved study as the TOML it could have come from, so that a run can be repeated by one command."""

from __future__ import annotations
