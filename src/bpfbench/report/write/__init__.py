# SPDX-License-Identifier: Apache-2.0
"""Writers: one module a format, each of which knows documents, and no question."""
