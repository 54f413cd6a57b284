# SPDX-License-Identifier: Apache-2.0
"""These tests say what is right, not how fast a busy machine finds it out."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
