# SPDX-License-Identifier: Apache-2.0
"""The portal's pages: made on the server, readable without scripts."""
