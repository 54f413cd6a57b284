# SPDX-License-Identifier: Apache-2.0
"""Software: what runs, what happened last and why, and installing something new from a file or an address."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import IO, Any

from aiohttp import BodyPartReader, MultipartReader, web

from appliance.host import software as summary
from appliance.model.errors import BundleBroken, DiskFull, PlatenError, UpdateBusy
from appliance.model.settings import number, text
from appliance.store import settings
from appliance.webui import errors, guard
from appliance.webui.app import BOX, VISITOR, page, run, see, status_of
from appliance.webui.i18n import N_
from appliance.webui.live import UpdateStatus

PIECE_S = 60.0
"""A browser that sends nothing for so long has gone."""

PIECE = 1024 * 1024
MOST_UPLOAD = 1024 * 1024 * 1024
_FORM_OCTETS = 4096
"""What the form puts around the file, at most."""

FILES = {
    "sbom.spdx.json": N_("Parts list (SPDX)"),
    "sbom.cdx.json": N_("Parts list (CycloneDX)"),
    "licences.txt": N_("Licences"),
}
"""Of the image, where they are there."""

OPERATIONS = {
    "fetching": N_("Copying from the USB stick"),
    "checking": N_("Checking signature and version"),
    "installing": N_("Installing"),
}
CAUSES = {
    "did-not-start": N_("It did not start, or not far enough to be checked."),
    "cut-short": N_("It started, but ended or hung before it could be checked."),
    "gate-services": N_("A part of the box did not keep running."),
    "gate-page": N_("This page did not answer."),
    "gate-database": N_("The stored readings could not be opened."),
    "gate-printers": N_("Fewer than half of the printers that had answered before still did."),
    "gate-portal": N_("The dealer's portal could be reached before, and no longer."),
    "gate-loader": N_("It could not be made permanent."),
    "cancelled": N_("It was cancelled."),
}
_DONE = {
    "started": N_("The installation has begun. The box works on meanwhile."),
    "cancelled": N_("Cancelled. The software that runs is not touched."),
    "discarded": N_("The waiting software was forgotten."),
    "restarting": N_("The box restarts now. This page comes back within a few minutes."),
    "noted": N_("Noted."),
}


async def show(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def live(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes while something is installed."""
    return page(request, "software_live.html", **await _facts(request))


async def upload(request: web.Request) -> web.StreamResponse:
    """Streams a file to the spool, past memory, and hands it to the update service."""
    try:
        source = await _receive(request)
    except PlatenError as error:
        return await _refused(request, error)
    return await _install(request, source=source, origin="page")


async def install(request: web.Request) -> web.StreamResponse:
    """From an address, or what waits where none is given."""
    form = request[VISITOR].form
    if form.get("waiting") == "yes":
        return await _install(request, origin="usb")
    address = form.get("address", "").strip()
    return await _install(request, address, source=address, origin="address")


def _asks(method: str, done: str) -> Any:
    async def ask(request: web.Request) -> web.StreamResponse:
        try:
            await request.app[BOX].services.ask("update", method, 20.0)
        except PlatenError as error:
            return await _refused(request, error)
        return see("/software", done=done)

    return ask


async def file(request: web.Request) -> web.StreamResponse:
    """A parts list or the licences, as they are."""
    name = request.match_info["name"]
    path = request.app[BOX].share / name
    if name not in FILES or not path.is_file():
        raise web.HTTPNotFound
    kind = "text/plain" if name.endswith(".txt") else "application/json"
    return web.FileResponse(
        path, headers={"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    )


ROUTES = [
    web.get("/software", show),
    web.get("/software/live", live),
    web.get("/software/files/{name}", file),
    web.post("/software/upload", upload),
    web.post("/software/install", install),
    web.post("/software/cancel", _asks("Cancel", "cancelled")),
    web.post("/software/discard", _asks("Discard", "discarded")),
    web.post("/software/restart", _asks("Restart", "restarting")),
    web.post("/software/noted", _asks("Acknowledge", "noted")),
]


async def _receive(request: web.Request) -> str:
    """Where the file lies now. The token stands before the file in the form and is checked before the file is
    read. PlatenError where it may not be stored or did not come whole; nothing of it is left then."""
    box, size = request.app[BOX], request.content_length
    if request.content_type != "multipart/form-data" or not size:
        raise guard.Refused(415, "unsupported-form")
    if box.uploading.locked():
        raise UpdateBusy("Another file is being uploaded at this moment")
    async with box.uploading:
        reader = await request.multipart()
        token = await _part(reader, "token")
        async with asyncio.timeout(guard.BODY_S):
            sent = (await token.read_chunk(256)).decode("ascii", "replace")
        guard.check_token(sent, request[VISITOR].token)
        body = await _part(reader, "file")
        try:
            if size > MOST_UPLOAD:
                raise guard.Refused(413, "too-large")
            answer = await box.services.ask("update", "Room", size=max(1, size - _FORM_OCTETS))
            return await _store(body, Path(str(answer["path"])))
        except PlatenError:
            # A browser shows an answer only once it could send everything.
            while size <= MOST_UPLOAD and await _piece(body):
                pass
            raise


async def _part(reader: MultipartReader, name: str) -> BodyPartReader:
    async with asyncio.timeout(guard.BODY_S):
        part = await reader.next()
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise guard.Refused(400, "bad-request")
    return part


async def _store(body: BodyPartReader, path: Path) -> str:
    whole = False
    try:
        target = await asyncio.to_thread(_create, path)
        try:
            octets = 0
            while piece := await _piece(body):
                octets += len(piece)
                await asyncio.to_thread(target.write, piece)
            await asyncio.to_thread(_finish, target)
            whole = octets > 0
        finally:
            target.close()
    except OSError as e:
        raise DiskFull(f"The file cannot be stored: {e.strerror or e}") from e
    except TimeoutError:
        raise BundleBroken("The file did not come to its end") from None
    finally:
        if not whole:
            await asyncio.to_thread(path.unlink, missing_ok=True)
    if not whole:
        raise BundleBroken("No file was chosen, or it is empty", hint="Choose a file that ends in .raucb")
    return str(path)


async def _piece(body: BodyPartReader) -> bytes:
    """Up to PIECE octets; none at the end."""
    found = bytearray()
    while len(found) < PIECE:
        async with asyncio.timeout(PIECE_S):
            chunk = await body.read_chunk(64 * 1024)
        if not chunk:
            break
        found += chunk
    return bytes(found)


def _create(path: Path) -> IO[bytes]:
    # The update service, another user of the same group, removes it; nobody else may read it.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660), "wb")


def _finish(target: IO[bytes]) -> None:
    target.flush()
    os.fsync(target.fileno())


async def _install(request: web.Request, address: str = "", **parameters: Any) -> web.StreamResponse:
    try:
        await request.app[BOX].services.ask("update", "Install", 25.0, **parameters)
    except PlatenError as error:
        return await _refused(request, error, address)
    return see("/software", done="started")


async def _refused(request: web.Request, error: PlatenError, address: str = "") -> web.StreamResponse:
    story = errors.tell_error(request[VISITOR].t, error)
    return await _page(request, status=status_of(error), story=story, address=address)


async def _page(
    request: web.Request, *, status: int = 200, story: errors.Story | None = None, address: str = ""
) -> web.Response:
    t, share = request[VISITOR].t, request.app[BOX].share
    done = request.query.get("done", "")
    return page(
        request,
        "software.html",
        status=status,
        **await _facts(request),
        story=story,
        address=address,
        files=[(name, t.gettext(label)) for name, label in FILES.items() if (share / name).is_file()],
        flash=t.gettext(_DONE[done]) if done in _DONE and story is None else "",
    )


async def _facts(request: web.Request) -> dict[str, Any]:
    box, t = request.app[BOX], request[VISITOR].t
    found = await box.services.update()
    values = await run(request, settings.load)
    trouble = None
    if isinstance(found, PlatenError):
        # Elsewhere than on the box there is nothing to update, and so nothing wrong.
        trouble = errors.tell_error(t, found) if summary.read(box.software) is not None else None
    elif found.last is not None and found.last.result == "failed":
        trouble = errors.tell_error(t, PlatenError(found.last.sentence, code=found.last.code))
    return {
        "update": found if isinstance(found, UpdateStatus) else None,
        "trouble": trouble,
        "operations": OPERATIONS,
        "causes": CAUSES,
        "mode": text(values, "update.mode"),
        "night": (number(values, "update.night_from"), number(values, "update.night_to")),
    }
