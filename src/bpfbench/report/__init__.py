# SPDX-License-Identifier: Apache-2.0
"""Reports, which people and programs read: terminal tables, JSON, CSV, Markdown. Nothing here computes a result."""
