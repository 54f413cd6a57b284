# SPDX-License-Identifier: Apache-2.0
"""The way to the dealer: from finished rows in the outbox to the portal's acknowledgement, over MQTT 5."""
