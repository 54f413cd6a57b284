# SPDX-License-Identifier: Apache-2.0
"""The box's local page: server-rendered, without JavaScript if need be, without internet always."""
