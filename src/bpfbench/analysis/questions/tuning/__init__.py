# SPDX-License-Identifier: Apache-2.0
"""Tuning: which configuration does what is wanted at the least cost, and whether that is more than luck.

`aim.py` says what is wanted, and weighs configurations by it; `search.py` says what is worth a trial next, and which
configurations come into the last round; `validation.py` what fresh blocks of these say; `tuned.py` reads a run. All of
it is pure. What is claimed comes from validation alone.
"""
