# SPDX-License-Identifier: Apache-2.0
"""What a tracer costs a target, both commands of the user's own, on the user's own system: one trial of it."""
