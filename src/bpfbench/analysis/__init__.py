# SPDX-License-Identifier: Apache-2.0
"""Records -> numbers. Pure: nothing here reads a file, a clock or a setting."""
