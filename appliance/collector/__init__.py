# SPDX-License-Identifier: Apache-2.0
"""printer → reading → store. wire (bytes ↔ values), ask (I/O), read (values → reading), judge (reading → facts)."""
