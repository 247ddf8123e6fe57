# SPDX-License-Identifier: Apache-2.0
"""Numbers -> what people and programs read: terminal tables, JSON, CSV, Markdown. Nothing here computes a result."""
