# SPDX-License-Identifier: Apache-2.0
"""Answers in blocks: one module a question, `document(answer)` for people and `data(answer)` for programs."""
