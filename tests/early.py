# SPDX-License-Identifier: Apache-2.0
"""Loaded before any other plugin (addopts, -p).

CPython before 3.11.5, Debian 12's among them, miscounts when the garbage collector runs Python code that
parses while a syntax tree is being built, and ends the whole run with "AST constructor recursion depth
mismatch" (python/cpython gh-106905). pytest and hypothesis build many; the collector waits meanwhile.
"""

from __future__ import annotations

import ast
import functools
import gc
import sys
from typing import Any

if sys.version_info < (3, 11, 5):
    _parse = ast.parse

    @functools.wraps(_parse)
    def _undisturbed(*args: Any, **kwargs: Any) -> Any:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return _parse(*args, **kwargs)
        finally:
            if collecting:
                gc.enable()

    ast.parse = _undisturbed  # type: ignore[assignment]
