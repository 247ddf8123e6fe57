# SPDX-License-Identifier: Apache-2.0
"""Questions: one module each, a function from what was measured to an answer, as frozen values."""
