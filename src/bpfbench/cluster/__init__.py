# SPDX-License-Identifier: Apache-2.0
"""Many hosts: a study's blocks on the workers of a Dask cluster, and their records back. docs/cluster.md tells how."""
