# SPDX-License-Identifier: Apache-2.0
"""Every error a person can meet, as one tree.

PlatenError
├── UsageError                 exit 2: what was asked cannot be done as asked
│   ├── TargetError            bad-target range-reversed range-too-large public-address
│   ├── RecordingError         bad-recording
│   ├── ProfileError           bad-profile
│   ├── SettingError           bad-setting
│   ├── BrandError             bad-brand
│   ├── PersonalisationError   bad-personalisation  already-personalised
│   ├── CardError              not-platen image-packed card-in-use card-refused card-unreadable card-full
│   │                          card-personalised card-blank file-exists
│   └── LabelError             bad-label
├── PrinterError               exit 1: one address gave no reading
│   ├── NameUnknown            name-unknown
│   ├── NoAnswer               no-answer
│   ├── NotAPrinter            not-a-printer
│   ├── AccessRefused          access-refused  wrong SNMPv3 user, key or context
│   └── BadReply               bad-reply       malformed, looping or lying agent
│       └── PrinterExchanged   printer-exchanged  another printer is at this address now
├── StoreError                 exit 70: the box's own database
│   ├── DatabaseDamaged        database-damaged
│   ├── DatabaseNewer          database-newer
│   ├── DatabaseBusy           database-busy
│   └── DiskFull               disk-full
├── LinkError                  exit 1: the way to the dealer
│   ├── BrokerUnreachable      broker-unreachable
│   └── CertificateMismatch    certificate-mismatch
├── UpdateError                exit 1: the box's own software; what runs is untouched
│   ├── BundleUntrusted        bundle-untrusted   not signed by whom this box trusts
│   ├── BundleForeign          bundle-foreign     for another board or product
│   ├── BundleTooOld           bundle-too-old     below the floor; bundle-downgrade: older than what runs
│   ├── BundleFormat           bundle-format      plain or crypt; only verity bundles are taken
│   ├── BundleTooLarge         bundle-too-large   for the slot; no-room: for the data partition
│   ├── BundleBroken           bundle-broken      not a bundle, cut short, or damaged
│   ├── DownloadFailed         download-failed download-gone download-stalled download-untrusted
│   │   │                      download-no-ranges download-missing bad-address
│   │   └── Stalled            download-stalled   RAUC itself still waits for the server
│   ├── UpdateBusy             update-busy        one is being installed already
│   ├── OnTrial                on-trial           the running version has to prove itself first
│   ├── NothingToDo            nothing-to-do      no offer, no installation, nothing to restart for
│   └── InstallFailed          install-failed install-cancelled install-interrupted
├── BaseDrift                  exit 1: base-drift  Debian's mirror has moved on from what an image is made of
├── AccessDenied               exit 1: wrong password or setup code
├── ServiceDown                exit 1: service-down  another service of this box does not answer
└── Fault                      exit 70: a fault of ours
    └── BusError               bus-error       what a D-Bus service answered instead of an answer

`code` is stable and lower case; people search for it and programs branch on it. `sentence` says what
happened, `hint` what the reader can do. Neither ever holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class PlatenError(Exception):
    """Base of the tree. `str(e)` is "CODE: sentence. Hint."."""

    code: ClassVar[str] = "fault"
    exit_status: ClassVar[int] = 70
    default_hint: ClassVar[str] = ""

    def __init__(self, sentence: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence.rstrip(".")
        self.hint = (self.default_hint if hint is None else hint).rstrip(".")
        if code is not None:
            self.code = code  # type: ignore[misc]  # a class holds the usual code, an instance a finer one

    def __str__(self) -> str:
        hint = f" {self.hint}." if self.hint else ""
        return f"{self.code}: {self.sentence}.{hint}"


class UsageError(PlatenError):
    code = "bad-usage"
    exit_status = 2


class TargetError(UsageError):
    code = "bad-target"
    default_hint = (
        "Write an address, a range like 192.168.1.1-192.168.1.254, a prefix like 192.168.1.0/24, or a name"
    )


class RecordingError(UsageError):
    code = "bad-recording"
    default_hint = "A recording has one OID|TAG|VALUE on each line; make one with 'platen record'"


class ProfileError(UsageError):
    code = "bad-profile"
    default_hint = "docs/printers.md describes what a profile may hold"


class SettingError(UsageError):
    code = "bad-setting"


class BrandError(UsageError):
    code = "bad-brand"
    default_hint = "docs/dealer.md describes what a brand folder may hold"


class PersonalisationError(UsageError):
    code = "bad-personalisation"
    default_hint = "Write it anew with 'platen-image personalise'"


class CardError(UsageError):
    """An image file or a card that cannot be read or written as asked."""

    code = "not-platen"
    default_hint = "Nothing was written; give a Platen image, or a card that one was written to"


class LabelError(UsageError):
    code = "bad-label"


class PrinterError(PlatenError):
    code = "printer-failed"
    exit_status = 1


class NameUnknown(PrinterError):
    code = "name-unknown"
    default_hint = "Check the spelling, or give the printer's address instead"


class NoAnswer(PrinterError):
    code = "no-answer"
    default_hint = "Check that it is switched on, that SNMP is enabled there, and that the community is right"


class NotAPrinter(PrinterError):
    code = "not-a-printer"
    default_hint = "It was left alone after this"


class AccessRefused(PrinterError):
    code = "access-refused"
    default_hint = "Check the SNMPv3 user, its keys and the context name"


class BadReply(PrinterError):
    code = "bad-reply"
    default_hint = "A recording of this device helps: 'platen record'"


class PrinterExchanged(BadReply):
    code = "printer-exchanged"
    default_hint = "It is identified anew"


class StoreError(PlatenError):
    code = "store-failed"
    exit_status = 70


class DatabaseDamaged(StoreError):
    code = "database-damaged"


class DatabaseNewer(StoreError):
    code = "database-newer"


class DatabaseBusy(StoreError):
    code = "database-busy"


class DiskFull(StoreError):
    code = "disk-full"
    default_hint = "Free some space; nothing that was stored is lost"


class LinkError(PlatenError):
    code = "link-failed"
    exit_status = 1


class BrokerUnreachable(LinkError):
    code = "broker-unreachable"
    default_hint = "Readings wait on the box and are sent when the connection returns"


class CertificateMismatch(LinkError):
    code = "certificate-mismatch"
    default_hint = "Nothing was sent; the dealer has to check the address and the certificate authority"


class BaseDrift(PlatenError):
    code = "base-drift"
    exit_status = 1
    default_hint = "'platen-image lock' takes the present versions, and the commit shows which"


class UpdateError(PlatenError):
    code = "update-failed"
    exit_status = 1
    default_hint = "The software that runs now was not touched"


class BundleUntrusted(UpdateError):
    code = "bundle-untrusted"
    default_hint = "Only bundles signed by the maker of this box are installed; get it from there again"


class BundleForeign(UpdateError):
    code = "bundle-foreign"
    default_hint = "Get the bundle that is made for this board"


class BundleTooOld(UpdateError):
    code = "bundle-too-old"
    default_hint = "Install a newer version; this one has known faults that must not come back"


class BundleFormat(UpdateError):
    code = "bundle-format"
    default_hint = "Make the bundle in the format 'verity'"


class BundleTooLarge(UpdateError):
    code = "bundle-too-large"
    default_hint = "Check that it is the bundle for this board"


class BundleBroken(UpdateError):
    code = "bundle-broken"
    default_hint = "Download the file again, or copy it again to the stick"


class DownloadFailed(UpdateError):
    code = "download-failed"
    default_hint = "Check the address and the connection; what was downloaded is not used"


class Stalled(DownloadFailed):
    code = "download-stalled"


class UpdateBusy(UpdateError):
    code = "update-busy"
    default_hint = "Wait for it, or cancel it"


class OnTrial(UpdateError):
    code = "on-trial"
    default_hint = "Wait until it is confirmed, a few minutes at most"


class NothingToDo(UpdateError):
    code = "nothing-to-do"


class InstallFailed(UpdateError):
    code = "install-failed"
    default_hint = "The software that runs now was not touched; try again"


class AccessDenied(PlatenError):
    code = "access-denied"
    exit_status = 1


class ServiceDown(PlatenError):
    code = "service-down"
    exit_status = 1
    default_hint = "Start the box's services with 'platen run'"


class Fault(PlatenError):
    code = "fault"
    exit_status = 70
    default_hint = "This is a fault of ours; please report it with the lines above"


class BusError(Fault):
    code = "bus-error"
