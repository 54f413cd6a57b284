# SPDX-License-Identifier: Apache-2.0
"""Writes contract/*.schema.json and contract/examples/*.json: `python -m contract.generate [DIR]`.

The structs in `appliance.model` are the source; a hand edit of a schema would be lost, and a test says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from appliance.model import messages, reading
from contract.samples import EXAMPLES

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ROOTS: dict[str, type[msgspec.Struct]] = {
    "reading": reading.Reading,
    "readings": messages.Readings,
    "event": messages.Event,
    "state": messages.State,
    "heartbeat": messages.Heartbeat,
    "acknowledgement": messages.Acknowledgement,
}


def schema(root: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one message; its `schema` member is required and has one value."""
    _, parts = msgspec.json.schema_components([root], ref_template="#/$defs/{name}")
    _tidy(parts)
    top = parts.pop(root.__name__)
    word = top["properties"]["schema"]
    word["const"] = word.pop("default")
    word["description"] = "Which message this is, and which version of it."
    top["required"] = ["schema", *top["required"]]
    return {"$schema": DIALECT, "$id": f"urn:platen:{word['const'].replace('/', ':')}", **top, "$defs": parts}


def files() -> dict[str, str]:
    """Every generated file: path below contract/ → its text."""
    made = {f"{name}.schema.json": _text(schema(root)) for name, root in ROOTS.items()}
    for name, value in EXAMPLES.items():
        made[f"examples/{name}.json"] = _text(json.loads(msgspec.json.encode(value)))
    return made


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _tidy(node: object) -> None:
    """Docstrings wrap where the source does; a description is one line."""
    if isinstance(node, dict):
        if isinstance(node.get("description"), str):
            node["description"] = " ".join(node["description"].split())
        for child in node.values():
            _tidy(child)
    elif isinstance(node, list):
        for child in node:
            _tidy(child)


def main(arguments: list[str]) -> int:
    """Writes every file below the folder given, or below this one."""
    root = Path(arguments[0]) if arguments else Path(__file__).parent
    for name, text in files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
