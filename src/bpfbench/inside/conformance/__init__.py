# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: does a tracer do what tracers/README.md says? Runs inside an image, with nothing installed."""
