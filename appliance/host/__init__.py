# SPDX-License-Identifier: Apache-2.0
"""The operating system: paths, identity, clock, control socket, readiness, log, links. Imports model only."""
