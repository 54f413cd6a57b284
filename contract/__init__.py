# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas and examples of everything that crosses the wire, made from `appliance.model`."""
