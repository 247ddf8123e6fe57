# SPDX-License-Identifier: Apache-2.0
"""The report page: what it says (answer.py), and how it is put together (page.py, with the template beside it)."""
