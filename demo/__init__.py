# SPDX-License-Identifier: Apache-2.0
"""What `make demo` starts around the box: certificates, a broker, a portal and a simulated LAN."""
