# SPDX-License-Identifier: Apache-2.0
"""Bytes ↔ values. Pure; knows no socket and no printer."""
