# SPDX-License-Identifier: Apache-2.0
"""Varbinds and a profile → a Reading. Pure."""
