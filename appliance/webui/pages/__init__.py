# SPDX-License-Identifier: Apache-2.0
"""One file per page, named as its template."""

from __future__ import annotations

from aiohttp import web

from appliance.webui.pages import (
    entry,
    overview,
    printer,
    printers,
    reports,
    reset,
    search,
    settings,
    software,
    status,
)

ROUTES: list[web.RouteDef] = [
    *entry.ROUTES,
    *overview.ROUTES,
    *printers.ROUTES,
    *search.ROUTES,
    *printer.ROUTES,
    *reports.ROUTES,
    *settings.ROUTES,
    *reset.ROUTES,
    *software.ROUTES,
    *status.ROUTES,
]
"""Every page. /printers/search stands before /printers/{id}."""
