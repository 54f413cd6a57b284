# SPDX-License-Identifier: Apache-2.0
"""The dealer's portal, a small reference: takes what boxes send, keeps it once, shows it."""
