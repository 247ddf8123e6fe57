# SPDX-License-Identifier: Apache-2.0
"""Analysis: from records to numbers. Pure: nothing here reads a file, a clock or a setting."""
