# SPDX-License-Identifier: Apache-2.0
"""Measuring: the stage, and what is done on it: campaigns, drain rates, traces."""
