# SPDX-License-Identifier: Apache-2.0
"""Recorded devices that answer SNMP on loopback addresses: for the demo, the tests and the benchmarks.

mib (what a device knows), agent (request → reply), behaviour (how it misbehaves), live (how it ages),
statistics (what was asked), server (sockets), command (`platen simulate`).
"""
