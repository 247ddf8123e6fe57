# SPDX-License-Identifier: Apache-2.0
"""What runs on the machine under test, inside the image: one trial, start to record. Standard library + psutil only."""
