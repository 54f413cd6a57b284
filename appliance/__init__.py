# SPDX-License-Identifier: Apache-2.0
"""Platen: open firmware for a plug-in printer-monitoring box."""

__version__ = "0.1.0"
