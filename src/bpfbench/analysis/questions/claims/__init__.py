# SPDX-License-Identifier: Apache-2.0
"""The paper's claims, judged by a run.

witness        measures, contestants, and what a witness must answer
run, paper     the two witnesses: trials, and the paper's own numbers
claim          the claims, from data/claims.toml, what they assert, and how a witness decides it
circumstances  the paper's environment beside a run's
judge          claims + witness -> verdicts with their evidence, and all of that: Findings
"""
