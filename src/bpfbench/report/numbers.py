# SPDX-License-Identifier: Apache-2.0
"""Numbers as texts, with no more figures than mean something; a minus is a hyphen, which writers set as they can."""

from __future__ import annotations


def rounded(value: float, decimals: int, sign: str = "") -> str:
    """Write a number with so many decimals; `sign` "+": with its sign also where it is positive."""
    # Adding 0.0 turns a negative zero into zero.
    return f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def share(percent: float) -> str:
    """Write a share of a whole so that a single event lost, or saved, of millions still shows."""
    text = f"{percent:.2f}"
    if text == "0.00" and percent > 0:
        return "<0.01"
    if text == "100.00" and percent < 100:
        return ">99.99"
    return text


def percent(ratio: float) -> str:
    """Write a ratio as a change in per cent, with its sign."""
    value = 100 * (ratio - 1)
    if value >= 1000:
        return "> +1000"
    return f"{value:+.0f}" if abs(value) >= 100 else rounded(value, 1, "+")


def p_value(p: float) -> str:
    """Write a p value as it is usually printed."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"
