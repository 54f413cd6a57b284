# SPDX-License-Identifier: Apache-2.0
"""What stands in platen-errors.txt on the card, in both languages: whoever reads it has no page to choose one on."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.provision.document import Problem

_USING = {
    "file": (
        "The rest of the file is in force.",
        "Der Rest der Datei gilt.",
    ),
    "kept": (
        "None of the file is in force. The box uses the settings it had before.",
        "Die Datei gilt nicht. Die Box benutzt die Einstellungen, die vorher galten.",
    ),
    "automatic": (
        "None of the file is in force. The box asks the network for an address (DHCP).",
        "Die Datei gilt nicht. Die Box lässt sich vom Netz eine Adresse geben (DHCP).",
    ),
}


def told(problems: Sequence[Problem], using: str, personalisation: str) -> bytes | None:
    """The file, as every Notepad shows it; None where there is nothing to tell."""
    if not problems and not personalisation:
        return None
    blocks = [_part(problems, using, personalisation, german) for german in (False, True)]
    return ("\r\n\r\n".join(blocks) + "\r\n").replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8-sig")


def _part(problems: Sequence[Problem], using: str, personalisation: str, german: bool) -> str:
    lines = []
    if problems:
        lines.append("platen.toml hat Fehler:" if german else "platen.toml has mistakes:")
        lines += [f"  {p.text(german)[:1].upper()}{p.text(german)[1:]}" for p in problems]
        lines.append(_USING[using][german])
        lines.append(
            "Bitte berichtigen und die Box neu starten; diese Datei verschwindet dann."
            if german
            else "Correct them and restart the box; this file goes away then."
        )
    if personalisation:
        lines.append(
            "Was der Händler auf die Karte geschrieben hat, wurde nicht übernommen:"
            if german
            else "What the dealer wrote onto the card was not taken in:"
        )
        lines.append(f"  {personalisation}")
    return "\n".join(lines)
