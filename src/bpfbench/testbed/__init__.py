# SPDX-License-Identifier: Apache-2.0
"""Where trials run: an image on a kernel. With inside/ and machine/, the only place that starts processes."""
