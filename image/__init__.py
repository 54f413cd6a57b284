# SPDX-License-Identifier: Apache-2.0
"""From Debian's packages and this tree to a card, an update bundle, and what proves what is in them."""
