# SPDX-License-Identifier: Apache-2.0
"""What is sampled beside a trial. Each monitor is pure parsing plus one reader of /proc."""
