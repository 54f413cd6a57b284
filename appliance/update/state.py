# SPDX-License-Identifier: Apache-2.0
"""What the box remembers of its updates, and every step it can take. Pure: state and facts in, state out.

One attempt at a time. Its steps in the order they happen, each written down (W) or done elsewhere (R: RAUC in U-Boot's
environment, U: U-Boot):

    W began → R slot emptied, written, activated → W installed → restart → U one try less → W trial
      gate content:  R mark good → W confirmed, floor raised
      gate not:      W cause → R mark bad → restart → W rolled back

The power can go between any two. So what a boot finds is judged by the environment and by the slot that runs, which
are facts, and by the written step only where those leave it open. tests/update/test_power_cut.py tries every prefix.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.host.uboot import Environment
from appliance.model.messages import Rollback
from appliance.update import policy

Stage = Literal["began", "installed", "trial"]
Step = Literal["none", "gate", "refuse", "wait"]

CAUSES: dict[str, str] = {
    "did-not-start": "The new version did not start, or not far enough to be checked; the box went back by itself",
    "cut-short": "The new version started, but ended or hung before it could be checked",
    "gate-services": "A part of the box did not keep running",
    "gate-page": "The page of the box did not answer",
    "gate-database": "The box's database could not be read",
    "gate-printers": "Fewer than half of the printers that answered before still did",
    "gate-portal": "The dealer's portal could be reached before, and no longer",
    "gate-loader": "The boot loader could not be told that the version is good",
    "cancelled": "It was cancelled",
}
"""Why an update was taken back, in English."""


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """How things were before the restart. None: not known, and then not demanded afterwards."""

    printers: int | None = None
    portal: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An update on its way. `slot` and `origin` are bootnames; `floor` what its manifest declares; `cause` why the
    gate (or a person) refused it."""

    version: str
    origin_version: str
    slot: str
    origin: str
    stage: Stage
    started: str
    boot_id: str
    floor: str | None = None
    before: Before = Before()
    cause: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the last attempt ended: confirmed, rolled-back, failed or cancelled."""

    version: str
    result: Literal["confirmed", "rolled-back", "failed", "cancelled"]
    time: str
    code: str = ""
    sentence: str = ""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """New software that waits for a person's word. `source`: a file in the spool, or an address."""

    version: str
    source: str
    origin: policy.Source
    time: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is remembered. `seen`: the boot that was noted last."""

    format: int = 1
    floor: str | None = None
    attempt: Attempt | None = None
    last: Outcome | None = None
    rollback: Rollback | None = None
    offer: Offer | None = None
    seen: str = ""


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of this boot. `trial` as the kernel's command line says; `floor` as os-release declares it."""

    slot: str
    trial: bool
    version: str
    boot_id: str
    environment: Environment
    time: str
    floor: str | None = None


def begin(state: State, attempt: Attempt) -> State:
    """Before RAUC touches anything."""
    return msgspec.structs.replace(state, attempt=attempt, offer=None)


def installed(state: State, before: Before) -> State:
    """RAUC is done; the restart is due."""
    return _attempt(state, stage="installed", before=before)


def failed(state: State, code: str, sentence: str, time: str, version: str = "") -> State:
    """It did not get as far as a restart; without an attempt it was refused before it began."""
    tried = state.attempt.version if state.attempt is not None else version
    result: Literal["cancelled", "failed"] = "cancelled" if code == "install-cancelled" else "failed"
    outcome = Outcome(version=tried, result=result, time=time, code=code, sentence=sentence)
    return msgspec.structs.replace(state, attempt=None, last=outcome)


def refused(state: State, cause: str) -> State:
    """The gate, or a person, says no. Written before RAUC is told; the first cause stays."""
    if state.attempt is None or state.attempt.cause is not None:
        return state
    return _attempt(state, cause=cause)


def confirmed(state: State, boot: Boot) -> State:
    """The running version has proved itself, and the boot loader knows."""
    attempt = state.attempt
    declared = attempt.floor if attempt is not None and attempt.floor is not None else boot.floor
    outcome = Outcome(version=boot.version, result="confirmed", time=boot.time)
    return msgspec.structs.replace(
        state,
        attempt=None,
        last=outcome if attempt is not None else state.last,
        floor=policy.raised(state.floor, boot.version, declared),
        seen=boot.boot_id,
    )


def arrived(state: State, boot: Boot) -> tuple[State, Step]:
    """What this boot means, and what to do next: let the gate decide, refuse what was refused already, wait for a
    restart that is still due, or nothing. Asked again in the same boot it says the same."""
    attempt = state.attempt
    if attempt is None:
        if boot.trial:
            # Installed by hand, or our memory was lost: it still has to prove itself.
            return begin(state, _stranger(boot)), "gate"
        return confirmed(state, boot), "none"
    if boot.slot == attempt.slot:
        if not boot.trial:
            return confirmed(state, boot), "none"  # the power went between "good" and our note of it
        state = _attempt(state, stage="trial")
        return state, "refuse" if attempt.cause is not None else "gate"
    return _back_on_origin(state, attempt, boot)


def offered(state: State, offer: Offer | None) -> State:
    """New software waits, or (None) does no longer."""
    return msgspec.structs.replace(state, offer=offer)


def acknowledged(state: State) -> State:
    """A person has read about the rollback."""
    return msgspec.structs.replace(state, rollback=None)


def _back_on_origin(state: State, attempt: Attempt, boot: Boot) -> tuple[State, Step]:
    environment, slot = boot.environment, attempt.slot
    if environment.pending(slot):
        # Installed and not yet started. A cancelled one must not start any more.
        return state, "refuse" if attempt.cause is not None else "wait"
    if attempt.cause == "cancelled":
        return failed(state, "install-cancelled", CAUSES["cancelled"], boot.time), "none"
    if attempt.cause is not None:
        return _rolled_back(state, attempt, attempt.cause, boot), "none"
    if attempt.stage == "trial":
        return _rolled_back(state, attempt, "cut-short", boot), "none"
    if environment.spent(slot) or attempt.stage == "installed":
        return _rolled_back(state, attempt, "did-not-start", boot), "none"
    if attempt.boot_id == boot.boot_id:
        return state, "wait"  # RAUC may be writing at this moment
    code, sentence = "install-interrupted", "The box was switched off while it was being installed"
    return failed(state, code, sentence, boot.time), "none"


def _rolled_back(state: State, attempt: Attempt, cause: str, boot: Boot) -> State:
    sentence = CAUSES.get(cause, cause)
    told = Rollback(
        version=attempt.version, kept=boot.version, cause=cause, sentence=sentence, time=boot.time
    )
    outcome = Outcome(
        version=attempt.version, result="rolled-back", time=boot.time, code=cause, sentence=sentence
    )
    return msgspec.structs.replace(state, attempt=None, last=outcome, rollback=told, seen=boot.boot_id)


def _stranger(boot: Boot) -> Attempt:
    other = next((n for n in boot.environment.left if n != boot.slot), "")
    return Attempt(
        version=boot.version,
        origin_version="",
        slot=boot.slot,
        origin=other,
        stage="trial",
        started=boot.time,
        boot_id=boot.boot_id,
    )


def _attempt(state: State, **changes: object) -> State:
    assert state.attempt is not None
    return msgspec.structs.replace(state, attempt=msgspec.structs.replace(state.attempt, **changes))
