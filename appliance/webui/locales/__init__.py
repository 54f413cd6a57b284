# SPDX-License-Identifier: Apache-2.0
"""Catalogues of the local page's languages; `python -m appliance.webui.locales` brings them up to date."""
