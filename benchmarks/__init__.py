# SPDX-License-Identifier: Apache-2.0
"""What the product costs, each measured beside a peer in the same run."""
