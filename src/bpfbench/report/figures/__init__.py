# SPDX-License-Identifier: Apache-2.0
"""Figures: what each shows (chart.py and the builders), and how it is drawn (drawn.py, print; screen.py, the page)."""
