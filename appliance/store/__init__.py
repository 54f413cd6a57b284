# SPDX-License-Identifier: Apache-2.0
"""What the box remembers, in one SQLite database. Everything here is synchronous; services go through
worker.Worker."""
