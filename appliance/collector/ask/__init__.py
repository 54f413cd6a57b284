# SPDX-License-Identifier: Apache-2.0
"""Everything that speaks to a printer. Returns what it said, or a named failure; judges nothing."""
