# SPDX-License-Identifier: Apache-2.0
"""A reading and what was known → facts and events. Pure."""
