# SPDX-License-Identifier: Apache-2.0
"""The paper's claims, judged by a run.

evidence       measures, contestants, and what a witness must answer
predicate      what a claim can assert, and how evidence decides it
claim          the claims, from data/claims.toml
run, paper     the two witnesses: trials, and the paper's own numbers
circumstances  the paper's environment beside a run's
remark         what can be said of the paper without any run; no claims
judge          claims + witness -> verdicts with their evidence, and all of that: Findings
"""
