# SPDX-License-Identifier: Apache-2.0
"""Which setup this is, and what it does otherwise; `build` changes the values for all but bcc."""

SETUP = "bcc"
BY_EVENT = False  # whether events are taken apart by BCC's own BPF["..."].event()
