# SPDX-License-Identifier: Apache-2.0
"""What is declared: TOML text -> Study (all validation), Study -> plan. Pure."""
