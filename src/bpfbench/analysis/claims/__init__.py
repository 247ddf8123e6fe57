# SPDX-License-Identifier: Apache-2.0
"""The paper's claims, judged by a run.

interval       intervals and three-valued comparisons
evidence       quantities, cells, and what an intervals' source must answer
predicate      what a claim can assert
claim          the claims: one entry each
remark         what can be said of the paper without any run; no claims
run, paper     the two sources: trials, and the paper's own numbers
judge          claim + source -> verdict with its evidence
circumstances  the paper's environment beside a run's
findings       all of it
"""
