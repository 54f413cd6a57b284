# SPDX-License-Identifier: Apache-2.0
"""What an error page says: what happened, what we did, what you can do. By code, in the reader's language."""

from __future__ import annotations

import msgspec

from appliance.model.errors import PlatenError
from appliance.webui.i18n import N_, Locale


class Story(msgspec.Struct, frozen=True):
    """An error, told. `did` and `do` may be "". `detail` is the technical sentence, in English, where there is one."""

    code: str
    happened: str
    did: str
    do: str
    detail: str = ""


def tell(t: Locale, code: str) -> Story:
    """The story of one of our own codes; an unknown one is told as a fault."""
    happened, did, do = _STORIES.get(code, _STORIES["fault"])
    return Story(code, t.gettext(happened), t.gettext(did), t.gettext(do))


def tell_error(t: Locale, error: PlatenError) -> Story:
    """The story of an error of the tree. Where we have no words of our own for its code, its own are shown."""
    if error.code in _STORIES:
        return msgspec.structs.replace(tell(t, error.code), detail=error.sentence)
    return Story(error.code, f"{error.sentence}.", "", f"{error.hint}." if error.hint else "")


_NOTHING = N_("Nothing was changed.")
_UNTOUCHED = N_("The software that runs was not touched.")
_LATER = N_("Check the connection and try again.")
_AGAIN = N_("Go back and try again. If it happens again, restart the box.")

_STORIES: dict[str, tuple[str, str, str]] = {
    "wrong-host": (
        N_("This page was asked for under a name that is not the box's."),
        N_("The request was refused, because websites can use such names to reach into your network."),
        N_("Open the box by its address, for example http://192.168.1.20, or by its own name."),
    ),
    "other-site": (
        N_("Another website tried to send a form to this box."),
        N_("The request was refused. Nothing was changed."),
        N_("If it was you, open the page again and repeat what you did."),
    ),
    "form-expired": (
        N_("This form is too old, or cookies are switched off."),
        _NOTHING,
        N_(
            "Go back, load the page again and repeat what you did. The browser must accept cookies from the box."
        ),
    ),
    "bad-request": (
        N_("The request is not one this page understands."),
        _NOTHING,
        N_("Start again from the overview."),
    ),
    "not-found": (
        N_("There is no such page."),
        "",
        N_("Check the address, or start again from the overview."),
    ),
    "no-such-printer": (
        N_("The box does not know this printer."),
        "",
        N_("It may have been removed. The list of printers shows those there are."),
    ),
    "no-such-report": (
        N_("This message is not on the box."),
        "",
        N_("Copies are kept for a limited time; the settings say how long."),
    ),
    "method-not-allowed": (
        N_("This page cannot be used that way."),
        _NOTHING,
        N_("Start again from the overview."),
    ),
    "too-large": (N_("What was sent is larger than any form here."), _NOTHING, N_("Send less at once.")),
    "unsupported-form": (
        N_("The form came in a format this page does not read."),
        _NOTHING,
        N_("Use the forms of this page."),
    ),
    "too-slow": (N_("It took too long."), N_("The box stopped waiting."), N_("Try again in a moment.")),
    "service-down": (
        N_("A service of the box is not running."),
        N_("Stored values are still shown; what you asked for was not done."),
        N_("It is restarted by itself. Try again in a minute."),
    ),
    "service-slow": (
        N_("A service of the box does not answer in time."),
        N_("Stored values are still shown. What you asked for may still be done."),
        N_("Try again in a minute."),
    ),
    "store-failed": (N_("The box's database did not answer."), _NOTHING, _AGAIN),
    "database-busy": (N_("The box's database is busy."), _NOTHING, N_("Try again in a moment.")),
    "database-damaged": (
        N_("The box's database is damaged."),
        N_("The file was kept as it is, and nothing is written to it."),
        N_("Ask your dealer for help before anything is deleted."),
    ),
    "database-newer": (
        N_("The box's database was written by newer software."),
        N_("It was left alone."),
        N_("Install the newer software again."),
    ),
    "disk-full": (
        N_("The box's storage is full."),
        N_("What was stored is kept; nothing new can be stored."),
        N_("Shorten how long readings are kept, or ask your dealer."),
    ),
    "no-answer": (
        N_("The printer did not answer."),
        N_("The box asked several times."),
        N_("Check that it is switched on, that SNMP is enabled there, and that the community is right."),
    ),
    "not-a-printer": (
        N_("The device at this address is not a printer."),
        N_("It was left alone after this."),
        "",
    ),
    "access-refused": (
        N_("The device answered, but refused access."),
        "",
        N_("Check the SNMPv3 user, its keys and the context name."),
    ),
    "bad-reply": (
        N_("The device answered with something that cannot be right."),
        N_("Nothing of it was stored."),
        N_("A recording of this device helps to make it readable."),
    ),
    "name-unknown": (
        N_("This name is not known in the network."),
        "",
        N_("Check the spelling, or give the printer's address instead."),
    ),
    "bad-target": (
        N_("This is not an address, a range, a prefix or a name."),
        "",
        N_("Write 192.168.1.20, 192.168.1.1-192.168.1.254, 192.168.1.0/24 or printer.example.local."),
    ),
    "range-reversed": (N_("This range runs backwards."), "", N_("Write the lower address first.")),
    "range-too-large": (
        N_("This range is larger than 65,536 addresses."),
        "",
        N_("Name several smaller ranges."),
    ),
    "public-address": (
        N_("This address is on the internet, not in a private network."),
        "",
        N_("The box asks printers on private addresses only, such as 192.168.1.20 or 10.0.0.20."),
    ),
    "broker-unreachable": (
        N_("The dealer's portal cannot be reached."),
        N_("Reports wait on the box and are sent when the connection returns."),
        N_("Check the internet connection and the firewall."),
    ),
    "certificate-mismatch": (
        N_("What answered for the dealer's portal could not prove that it is the portal."),
        N_("Nothing was sent."),
        N_("Your dealer has to check the address and the certificate."),
    ),
    "broker-refused": (
        N_("The dealer's portal refused this box."),
        N_("Reports wait on the box."),
        N_("Your dealer has to check the box's account and certificate."),
    ),
    "certificate-missing": (
        N_("This box has no certificate for the dealer's portal yet."),
        N_("Nothing was sent."),
        N_("Your dealer has to issue one."),
    ),
    "account-missing": (
        N_("The dealer's portal is named, but not the account this box belongs to."),
        N_("Nothing was sent."),
        N_("Ask your dealer for the account and fill it in under settings."),
    ),
    "already-scanning": (N_("A search is already running."), _NOTHING, N_("Wait for it, or stop it.")),
    "no-network": (
        N_("The box is attached to no network in which it could search."),
        "",
        N_("Check the cable, or name the addresses yourself."),
    ),
    "excluded": (
        N_("The settings say to leave this address alone."),
        N_("It was asked nothing."),
        N_("Take it off the list under settings to have it read."),
    ),
    "over-budget": (
        N_("This printer was asked enough for this hour."),
        N_("It was asked nothing more, so as not to be a burden."),
        N_("Try again later; it is read by itself when its time comes."),
    ),
    "printer-exchanged": (
        N_("Another printer answers at this address now."),
        N_("Its values were not mixed with those of the one before; it is identified anew."),
        "",
    ),
    "unknown-context": (
        N_("The device answered, but refused access."),
        "",
        N_("Check the SNMPv3 user, its keys and the context name."),
    ),
    "authorization-error": (
        N_("The device answered, but refused access."),
        "",
        N_("Check the SNMPv3 user, its keys and the context name."),
    ),
    "bundle-untrusted": (
        N_("This software is not signed by anybody the box trusts."),
        _UNTOUCHED,
        N_("Take only files that your dealer gave you. If it came from there, ask for it again."),
    ),
    "bundle-foreign": (
        N_("This software is made for another device."),
        _UNTOUCHED,
        N_("Ask your dealer for the file for this box."),
    ),
    "bundle-too-old": (
        N_("This software is older than what the box still accepts."),
        _UNTOUCHED,
        N_("Older versions have known faults that must not come back. Take a newer one."),
    ),
    "bundle-downgrade": (
        N_("This software is older than what runs now."),
        _UNTOUCHED,
        N_("If going back is what you want, your dealer can do that."),
    ),
    "bundle-format": (
        N_("This file is packed in a way the box does not accept."),
        _UNTOUCHED,
        N_("Ask your dealer for the file for this box."),
    ),
    "bundle-too-large": (
        N_("This software is larger than the place for it on the box."),
        _UNTOUCHED,
        N_("Check that it is the file for this box."),
    ),
    "no-room": (
        N_("There is no room on the box for this file."),
        _UNTOUCHED,
        N_("Keep readings for fewer days, or install from an address, which needs no room."),
    ),
    "bundle-broken": (
        N_("This file is no software for the box, or it is damaged."),
        _UNTOUCHED,
        N_("Choose a file that ends in .raucb. Download or copy it again if it does."),
    ),
    "download-failed": (N_("The download failed."), _UNTOUCHED, _LATER),
    "download-gone": (N_("The server cannot be reached."), _UNTOUCHED, _LATER),
    "download-stalled": (N_("The server stopped sending."), _UNTOUCHED, _LATER),
    "download-missing": (
        N_("The server does not have this file."),
        _UNTOUCHED,
        N_("Check the address, letter by letter."),
    ),
    "download-untrusted": (
        N_("The server could not prove that it is the right one."),
        _UNTOUCHED,
        N_("Check the address. Your dealer has to look at the server's certificate."),
    ),
    "download-no-ranges": (
        N_("The server can send whole files only, not parts of them."),
        _UNTOUCHED,
        N_("Download the file with your computer and upload it here."),
    ),
    "bad-address": (
        N_("That is not an address that software can come from."),
        _UNTOUCHED,
        N_("It has to begin with https:// and must not hold a name or a password."),
    ),
    "update-busy": (
        N_("Something is being installed already."),
        _UNTOUCHED,
        N_("Wait for it, or cancel it."),
    ),
    "restart-waits": (
        N_("New software is installed and waits for its restart."),
        _NOTHING,
        N_("On the page Software, restart the box or say that it shall not be used. Then try again."),
    ),
    "on-trial": (
        N_("The version that runs still has to prove itself."),
        _UNTOUCHED,
        N_("That takes a few minutes at most. Try again then."),
    ),
    "already-there": (N_("This version runs already."), _UNTOUCHED, ""),
    "nothing-to-do": (N_("There is nothing to do."), _UNTOUCHED, ""),
    "install-failed": (N_("The installation failed."), _UNTOUCHED, _LATER),
    "install-interrupted": (
        N_("The box was switched off, or a part of it ended, in the middle of an installation."),
        _UNTOUCHED,
        N_("Install it again."),
    ),
    "fault": (
        N_("Something went wrong inside the box. This is our fault."),
        N_("It was written to the log. Stored data is not affected."),
        _AGAIN,
    ),
}
