# SPDX-License-Identifier: Apache-2.0
"""How fast tracers drain their rings, measured in bursts."""
