# SPDX-License-Identifier: Apache-2.0
"""Who may use the page: the setup code once, then the password, then a session.

There is no default login. Wrong tries slow down their own source only, so nobody can lock the owner out by
guessing badly from elsewhere. Hashing takes 19 MiB and some time, so it is done by one thread, one at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
import unicodedata

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from appliance.store import sessions, settings
from appliance.store.database import Connection
from appliance.store.worker import Worker
from appliance.webui.i18n import N_

IDLE_S = 30 * 60
ABSOLUTE_S = 12 * 3600
SHORTEST = 10
LONGEST = 256

FREE_TRIES = 3
SLOWEST_S = 60.0
WINDOW_S = 3600.0

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_PAGE = re.compile(r"/(?!/)[A-Za-z0-9/_-]{0,120}\Z")
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Session(msgspec.Struct, frozen=True):
    """The login a request came with."""

    created: float
    used: float
    expires: float
    label: str


class Arrival(msgspec.Struct, frozen=True):
    """What the store knows of a request before its page is called. `language` is the setting's."""

    language: str
    password_set: bool
    session: Session | None


class TooManyTries(Exception):
    """This source guessed wrong too often; `wait_s` until it may try again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many tries")
        self.wait_s = wait_s


def arrive(db: Connection, token: str | None, now: float, *, by_hand: bool = True) -> Arrival:
    """Looks up the session of a cookie, and keeps it alive while a person uses it."""
    language = str(settings.value(db, "page.language"))
    password_set = sessions.secret(db, "password") is not None
    session = None
    if token and len(token) <= 64 and password_set:
        found = sessions.find(db, token, now)
        if found is not None and now < found.created + ABSOLUTE_S:
            session = Session(found.created, found.used, found.expires, found.label)
            if by_hand and now - found.used > sessions.TOUCH_S:
                sessions.touch(db, token, now, min(now + IDLE_S, found.created + ABSOLUTE_S))
    return Arrival(language, password_set, session)


def begin(db: Connection, now: float, label: str) -> str:
    """A new session; its random token of 256 bits, which is stored nowhere but in the browser."""
    token = secrets.token_urlsafe(32)
    sessions.prune(db, now)
    sessions.begin(db, token, now, now + IDLE_S, label)
    return token


def password_fault(password: str, again: str) -> tuple[str | None, str | None]:
    """What is wrong with a new password and with its repetition, as texts of the catalogue."""
    if len(password) < SHORTEST:
        return N_("Too short: at least 10 characters, please."), None
    if len(password) > LONGEST:
        return N_("Too long: at most 256 characters, please."), None
    if len(set(password)) < 4:
        return N_("Too simple: it repeats the same few characters."), None
    if normalised(password) != normalised(again):
        return None, N_("The two passwords differ. Type the same one twice.")
    return None, None


def normalised(password: str) -> bytes:
    """The same octets whichever way the keyboard composed an umlaut (Unicode NFC)."""
    return unicodedata.normalize("NFC", password).encode()


def code_matches(typed: str, code: str) -> bool:
    """Whether this is the setup code, in constant time. Case, blanks and dashes do not matter, nor does what
    Crockford's base 32 takes for the same: O and 0, I, L and 1."""
    return hmac.compare_digest(_code(typed), _code(code))


def token_hash(token: str) -> str:
    """Of a random token of 256 bits; it needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_page(path: str) -> bool:
    """Whether a login may lead on to this path: ours, and plain."""
    return bool(_PAGE.match(path)) and not path.startswith(("/login", "/setup", "/logout", "/static"))


def browser(user_agent: str | None) -> str:
    """ "Firefox, Windows": enough to recognise one's own session in a list."""
    text = (user_agent or "")[:400]
    names = (next((name for mark, name in table if mark in text), "") for table in (_BROWSERS, _SYSTEMS))
    return ", ".join(n for n in names if n) or "?"


class Doors:
    """Checks passwords and the setup code, one at a time, and slows down whoever guesses."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._hashing = asyncio.Lock()
        self._trying: set[str] = set()

    async def set_first_password(self, source: str, typed: str, code: str, password: str) -> bool | None:
        """True: the code was right and the password is set. False: wrong code. None: a password was set before,
        so the code is of no more use. TooManyTries."""
        async with _One(self._trying, source):
            await self._slow_down(source)
            if not code_matches(typed, code):
                await self._worker.run(_failed, source, time.time())
                return False
            hashed = await self._hash(password)
            if not await self._worker.run(sessions.set_secret_once, "password", hashed):
                return None
            await self._worker.run(sessions.forgive, source)
            return True

    async def password_right(self, source: str, password: str) -> bool:
        """Whether this is the password. TooManyTries."""
        async with _One(self._trying, source):
            await self._slow_down(source)
            stored = await self._worker.run(sessions.secret, "password")
            right = stored is not None and len(password) <= LONGEST and await self._verify(stored, password)
            if not right:
                await self._worker.run(_failed, source, time.time())
                return False
            await self._worker.run(sessions.forgive, source)
            assert stored is not None
            if _HASHER.check_needs_rehash(stored):
                await self.set_password(password)
            return True

    async def set_password(self, password: str) -> None:
        """Replaces the password."""
        await self._worker.run(sessions.set_secret, "password", await self._hash(password))

    async def _slow_down(self, source: str) -> None:
        now = time.time()
        wrong = await self._worker.run(sessions.failures, now - WINDOW_S, source)
        if (wait := delay(wrong, now)) > 0:
            raise TooManyTries(wait)

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(_HASHER.hash, normalised(password))

    async def _verify(self, stored: str, password: str) -> bool:
        async with self._hashing:
            return await asyncio.to_thread(_verified, stored, normalised(password))


def delay(wrong: list[float], now: float) -> float:
    """Seconds that a source with these wrong tries (oldest first) still has to wait: nothing for the first
    three, then 2, 4, 8 … up to 60 since the last. A clock that was set back never makes it longer."""
    if len(wrong) < FREE_TRIES:
        return 0.0
    pause = min(2.0 ** (len(wrong) - FREE_TRIES + 1), SLOWEST_S)
    return min(max(wrong[-1] + pause - now, 0.0), pause)


class _One:
    """Lets each source try one thing at a time, so that a hundred guesses at once are not a hundred free ones."""

    def __init__(self, trying: set[str], source: str) -> None:
        self._trying, self._source = trying, source

    async def __aenter__(self) -> None:
        if self._source in self._trying:
            raise TooManyTries(1.0)
        self._trying.add(self._source)

    async def __aexit__(self, *exc: object) -> None:
        self._trying.discard(self._source)


def _failed(db: Connection, source: str, now: float) -> None:
    sessions.prune(db, now)  # whoever guesses for weeks must not fill the card with it
    sessions.failed(db, source, now)


def _code(text: str) -> bytes:
    same = str.maketrans({"O": "0", "I": "1", "L": "1", " ": "", "-": "", "\t": "", "–": ""})
    return text[:64].upper().translate(same).encode()


def _verified(stored: str, password: bytes) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False
