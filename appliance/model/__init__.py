# SPDX-License-Identifier: Apache-2.0
"""What the box knows, as plain values. Pure: nothing here reads a file, a socket or a clock."""
