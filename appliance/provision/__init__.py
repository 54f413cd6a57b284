# SPDX-License-Identifier: Apache-2.0
"""What people put on the card: the dealer's personalisation, once, and the installer's platen.toml, at every start."""
