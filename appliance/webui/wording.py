# SPDX-License-Identifier: Apache-2.0
"""MIB keywords in plain words: RFC 3805, RFC 2790 and IANA-PRINTER-MIB.

Every table maps a keyword to an English text of the catalogue. A keyword that no table knows is shown split into
words, never dropped.
"""

from __future__ import annotations

import re

from appliance.model.errors import PlatenError
from appliance.model.reading import Alert, Input, Output, Reading, Storage, Supply
from appliance.webui import errors
from appliance.webui.i18n import N_, Locale


def plain(t: Locale, table: dict[str, str], keyword: str | None) -> str:
    """The keyword in words; "" for None."""
    if not keyword:
        return ""
    text = table.get(keyword)
    return t.gettext(text) if text else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword).replace("_", " ").lower()


def supply_name(t: Locale, supply: Supply) -> str:
    """ "Black toner", "Waste toner container": what it is, by type and colour, else as the printer describes it."""
    kind = SUPPLY_TYPES.get(supply.type)
    if kind is None:
        return supply.description or t.gettext("Supply %(index)s", index=supply.index)
    if supply.color:
        return t.gettext("%(kind)s, %(color)s", kind=t.gettext(kind), color=color(t, supply.color))
    return t.gettext(kind)


def color(t: Locale, name: str) -> str:
    return plain(t, COLORS, name)


def supply_level(t: Locale, supply: Supply) -> str:
    """The level in words: a percentage where there is one, else what the printer did say. Never a made-up 0."""
    receptacle = supply.class_ == "receptacleThatIsFilled"
    if supply.percent is None:
        if supply.basis == "some":
            return t.gettext("some space left") if receptacle else t.gettext("some left")
        if supply.level is not None and supply.level >= 0 and supply.unit:
            unit = plain(t, UNITS, supply.unit)
            return t.gettext("%(amount)s %(unit)s left", amount=t.number(supply.level), unit=unit)
        return t.gettext("unknown")
    value = t.percent(supply.percent)
    if supply.basis == "coarse":
        value = t.gettext("about %(percent)s", percent=value)
    return t.gettext("%(percent)s space left", percent=value) if receptacle else value


def short_supply(t: Locale, supply: Supply) -> str:
    """For a narrow column: the colour, else the kind."""
    return color(t, supply.color).capitalize() if supply.color else supply_name(t, supply)[:24]


def short_level(t: Locale, supply: Supply) -> str:
    """For a narrow column: "62%", "some", "?"."""
    if supply.percent is not None:
        return t.percent(supply.percent)
    return t.gettext("some") if supply.basis == "some" else "?"


def line_class(supply: Supply, place: int) -> str:
    """Colour and dashes of a line; the dashes tell them apart without colour."""
    kind = supply.color if supply.color in ("black", "cyan", "magenta", "yellow", "gray") else "other"
    return f"c-{kind} d{place % 4}"


def reason(t: Locale, code: str, sentence: str | None) -> str:
    """Why an address is no printer or could not be read."""
    return errors.tell_error(t, PlatenError(sentence or code, code=code)).happened


def supply_state(t: Locale, supply: Supply) -> str:
    """ "low", "empty", "full", "nearly full"; "" where nothing needs saying."""
    return t.gettext(STATES[supply.state]) if supply.state in STATES else ""


def alert(t: Locale, row: Alert) -> str:
    """One alert in plain words, from its code; the printer's own text where the code says nothing."""
    text = ALERTS.get(row.code_name)
    if text:
        return t.gettext(text)
    return (
        row.description or plain(t, {}, row.code_name) or t.gettext("Something the printer does not explain")
    )


def condition(t: Locale, reading: Reading) -> tuple[str, str]:
    """(light, words) of the whole printer: "ok" | "note" | "bad", and its errors or what it is doing."""
    errors = [e for e in reading.status.errors if e in ERRORS]
    stopped = [e for e in errors if e in STOPPING] or (
        ["down"] if reading.status.device == "down" and not errors else []
    )
    if stopped == ["down"]:
        return "bad", t.gettext("Cannot print")
    if errors:
        return ("bad" if stopped else "note"), t.list(t.gettext(ERRORS[e]) for e in (stopped or errors)[:3])
    return "ok", plain(t, PRINTER_STATUS, reading.status.printer) or t.gettext("Answering")


def tray_name(t: Locale, row: Input | Output, kind: str) -> str:
    """What the printer calls it, else "Tray 2" or "Bin 1"."""
    said = row.name or row.description
    if said:
        return said
    number = row.index.split(".")[-1]
    return t.gettext("Tray %(n)s", n=number) if kind == "input" else t.gettext("Bin %(n)s", n=number)


def amount(
    t: Locale, level: int | None, capacity: int | None, unit: str | None, *, space: bool = False
) -> str:
    """A tray's or bin's level in words. `space`: the level counts room that is left."""
    if level == -3:
        return t.gettext("some space left") if space else t.gettext("some left")
    if level is None or level < 0:
        return t.gettext("unknown")
    if level == 0:
        return t.gettext("full") if space else t.gettext("empty")
    words = plain(t, UNITS, unit) or t.gettext("sheets")
    if capacity is not None and capacity > 0:
        return t.gettext(
            "%(level)s of %(capacity)s %(unit)s",
            level=t.number(level),
            capacity=t.number(capacity),
            unit=words,
        )
    return f"{t.number(level)} {words}"


def media_size(t: Locale, row: Input) -> str:
    """ "A4" where the size is a usual one, else "210 × 297 mm"; "" where the printer does not say."""
    feed = row.media_dim_feed_dir_chosen or row.media_dim_feed_dir_declared
    cross = row.media_dim_x_feed_dir_chosen or row.media_dim_x_feed_dir_declared
    if feed is None or cross is None or feed <= 0 or cross <= 0:
        return ""
    scale = {"tenThousandthsOfInches": 0.00254, "micrometers": 0.001}.get(row.dim_unit or "")
    if scale is None:
        return ""
    size = sorted((round(feed * scale), round(cross * scale)))
    for name, usual in SIZES.items():
        if all(abs(a - b) <= 2 for a, b in zip(size, usual, strict=True)):
            return name
    return f"{t.number(size[0])} × {t.number(size[1])} mm"


def storage(t: Locale, row: Storage) -> str:
    """ "12 MB of 512 MB used"."""
    if not row.allocation_units or row.size is None or row.size <= 0:
        return t.gettext("unknown")
    total = t.size(row.size * row.allocation_units)
    if row.used is None or row.used < 0:
        return total
    return t.gettext("%(used)s of %(total)s used", used=t.size(row.used * row.allocation_units), total=total)


def meter(t: Locale, name: str) -> str:
    """ "Total", "Monochrome", "Duplex": the kind, or the work where it is the sum."""
    work, _, kind = name.partition(".")
    return t.gettext(KINDS[kind]) if kind in KINDS else t.gettext(WORKS.get(work, work))


SIZES = {"A3": (297, 420), "A4": (210, 297), "A5": (148, 210), "A6": (105, 148), "B4": (257, 364), "B5": (182, 257), "Letter": (216, 279), "Legal": (216, 356), "Ledger": (279, 432), "Executive": (184, 267), "C5": (162, 229), "DL": (110, 220)}  # fmt: skip

WORKS = {
    "total": N_("All work"),
    "print": N_("Printing"),
    "copy": N_("Copying"),
    "fax": N_("Fax"),
    "scan": N_("Scanning"),
}
KINDS = {
    "monochrome": N_("Monochrome"),
    "full_color": N_("Full colour"),
    "highlight_color": N_("Highlight colour"),
    "duplex": N_("Two-sided"),
    "large": N_("Large format (A3 and larger)"),
    "blank": N_("Blank pages"),
}
STATES = {"low": N_("low"), "empty": N_("empty"), "full": N_("full"), "near_full": N_("nearly full")}
COLORS = {
    "black": N_("black"),
    "cyan": N_("cyan"),
    "magenta": N_("magenta"),
    "yellow": N_("yellow"),
    "light_cyan": N_("light cyan"),
    "light_magenta": N_("light magenta"),
    "light_black": N_("light black"),
    "light_light_black": N_("light light black"),
    "photo_black": N_("photo black"),
    "matte_black": N_("matte black"),
    "gray": N_("grey"),
    "light_gray": N_("light grey"),
    "dark_gray": N_("dark grey"),
    "red": N_("red"),
    "green": N_("green"),
    "blue": N_("blue"),
    "orange": N_("orange"),
    "violet": N_("violet"),
    "white": N_("white"),
    "clear": N_("clear"),
    "tricolor": N_("three colours"),
}
SUPPLY_TYPES = {
    "toner": N_("Toner"),
    "tonerCartridge": N_("Toner cartridge"),
    "wasteToner": N_("Waste toner container"),
    "ink": N_("Ink"),
    "inkCartridge": N_("Ink cartridge"),
    "inkRibbon": N_("Ink ribbon"),
    "wasteInk": N_("Waste ink container"),
    "opc": N_("Drum"),
    "developer": N_("Developer"),
    "fuserOil": N_("Fuser oil"),
    "solidWax": N_("Solid ink"),
    "ribbonWax": N_("Wax ribbon"),
    "wasteWax": N_("Waste wax tray"),
    "fuser": N_("Fuser"),
    "coronaWire": N_("Corona wire"),
    "fuserOilWick": N_("Fuser oil wick"),
    "cleanerUnit": N_("Cleaning unit"),
    "fuserCleaningPad": N_("Fuser cleaning pad"),
    "transferUnit": N_("Transfer unit"),
    "fuserOiler": N_("Fuser oiler"),
    "water": N_("Water"),
    "wasteWater": N_("Waste water container"),
    "wastePaper": N_("Waste paper container"),
    "bindingSupply": N_("Binding supply"),
    "bandingSupply": N_("Banding supply"),
    "stitchingWire": N_("Stitching wire"),
    "shrinkWrap": N_("Shrink wrap"),
    "paperWrap": N_("Paper wrap"),
    "staples": N_("Staples"),
    "inserts": N_("Inserts"),
    "covers": N_("Covers for binding"),
    "matteToner": N_("Matte toner"),
    "matteInk": N_("Matte ink"),
}
UNITS = {
    "tenThousandthsOfInches": N_("ten-thousandths of an inch"),
    "micrometers": N_("micrometres"),
    "characters": N_("characters"),
    "lines": N_("lines"),
    "impressions": N_("pages"),
    "sheets": N_("sheets"),
    "dotRow": N_("dot rows"),
    "hours": N_("hours"),
    "thousandthsOfOunces": N_("thousandths of an ounce"),
    "tenthsOfGrams": N_("tenths of a gram"),
    "hundrethsOfFluidOunces": N_("hundredths of a fluid ounce"),
    "hundredthsOfFluidOunces": N_("hundredths of a fluid ounce"),
    "tenthsOfMilliliters": N_("tenths of a millilitre"),
    "feet": N_("feet"),
    "meters": N_("metres"),
    "items": N_("pieces"),
    "percent": N_("percent"),
}
PRINTER_STATUS = {
    "idle": N_("Ready"),
    "printing": N_("Printing"),
    "warmup": N_("Warming up"),
    "other": N_("Answering"),
    "unknown": N_("Answering"),
}
DEVICE_STATUS = {
    "running": N_("working"),
    "warning": N_("working, with a warning"),
    "testing": N_("testing itself"),
    "down": N_("not working"),
    "unknown": N_("unknown"),
}
ERRORS = {
    "lowPaper": N_("Paper is low"),
    "noPaper": N_("Paper is out"),
    "lowToner": N_("Toner is low"),
    "noToner": N_("Toner is empty"),
    "doorOpen": N_("A cover is open"),
    "jammed": N_("Paper is jammed"),
    "offline": N_("Switched to offline"),
    "serviceRequested": N_("Asks for service"),
    "inputTrayMissing": N_("A paper tray is missing"),
    "outputTrayMissing": N_("An output bin is missing"),
    "markerSupplyMissing": N_("A cartridge is missing"),
    "outputNearFull": N_("The output bin is nearly full"),
    "outputFull": N_("The output bin is full"),
    "inputTrayEmpty": N_("A paper tray is empty"),
    "overduePreventMaint": N_("Maintenance is overdue"),
}
STOPPING = frozenset({"noPaper", "noToner", "doorOpen", "jammed", "offline", "serviceRequested", "inputTrayMissing", "outputTrayMissing", "markerSupplyMissing", "outputFull"})  # fmt: skip
SEVERITIES = {
    "critical": N_("stops printing"),
    "warning": N_("warning"),
    "warningBinaryChangeEvent": N_("notice"),
    "other": N_("notice"),
}
TRAINING = {
    "untrained": N_("anyone can fix it"),
    "trained": N_("somebody trained can fix it"),
    "fieldService": N_("needs a service technician"),
    "management": N_("needs an administrator"),
    "noInterventionRequired": N_("nothing to do"),
}
GROUPS = {
    "generalPrinter": N_("printer"),
    "cover": N_("cover"),
    "input": N_("paper tray"),
    "output": N_("output bin"),
    "marker": N_("print unit"),
    "markerSupplies": N_("supply"),
    "markerColorant": N_("colour"),
    "mediaPath": N_("paper path"),
    "channel": N_("interface"),
    "interpreter": N_("page language"),
    "consoleDisplayBuffer": N_("display"),
    "consoleLights": N_("panel lights"),
    "localization": N_("panel language"),
    "hostResourcesMIBStorageTable": N_("storage"),
    "hostResourcesMIBDeviceTable": N_("device"),
    "finDevice": N_("finisher"),
    "finSupply": N_("finisher supply"),
    "finSupplyMediaInput": N_("finisher tray"),
    "finAttribute": N_("finisher"),
}
TRAY_TYPES = {
    "sheetFeedAutoRemovableTray": N_("removable tray"),
    "sheetFeedAutoNonRemovableTray": N_("fixed tray"),
    "sheetFeedManual": N_("manual feed"),
    "continuousRoll": N_("paper roll"),
    "continuousFanFold": N_("fan-fold paper"),
    "removableBin": N_("removable bin"),
    "unRemovableBin": N_("fixed bin"),
    "continuousRollDevice": N_("paper roll"),
    "mailBox": N_("mailbox"),
}
SUBUNIT = {
    "availableAndIdle": N_("ready"),
    "availableAndStandby": N_("standby"),
    "availableAndActive": N_("in use"),
    "availableAndBusy": N_("busy"),
    "unavailable": N_("not available"),
    "unavailableAndOnRequest": N_("not available"),
    "unavailableBecauseBroken": N_("broken"),
    "unknown": N_("unknown"),
    "nonCritical": N_("with a warning"),
    "nonCriticalAlerts": N_("with a warning"),
    "critical": N_("needs help"),
    "criticalAlerts": N_("needs help"),
    "offLine": N_("offline"),
    "offline": N_("offline"),
    "transitioning": N_("changing state"),
    "transitioningToIntendedState": N_("changing state"),
}
COVER_STATUS = {
    "coverOpen": N_("open"),
    "coverClosed": N_("closed"),
    "interlockOpen": N_("open, printing is blocked"),
    "interlockClosed": N_("closed"),
    "other": N_("unknown"),
    "unknown": N_("unknown"),
}
STORAGE_TYPES = {
    "ram": N_("working memory"),
    "virtualMemory": N_("virtual memory"),
    "fixedDisk": N_("disk"),
    "removableDisk": N_("removable disk"),
    "floppyDisk": N_("floppy disk"),
    "compactDisc": N_("optical disc"),
    "ramDisk": N_("RAM disk"),
    "flashMemory": N_("flash memory"),
    "networkDisk": N_("network disk"),
    "other": N_("other storage"),
}
ALERTS = {
    "coverOpen": N_("A cover is open"),
    "coverClosed": N_("A cover was closed"),
    "interlockOpen": N_("A safety switch is open"),
    "interlockClosed": N_("A safety switch was closed"),
    "configurationChange": N_("The configuration changed"),
    "jam": N_("Paper is jammed"),
    "subunitMissing": N_("A part is missing"),
    "subunitLifeAlmostOver": N_("A part is nearly worn out"),
    "subunitLifeOver": N_("A part is worn out"),
    "subunitAlmostEmpty": N_("Something is nearly empty"),
    "subunitEmpty": N_("Something is empty"),
    "subunitAlmostFull": N_("Something is nearly full"),
    "subunitFull": N_("Something is full"),
    "subunitNearLimit": N_("A part is near its limit"),
    "subunitAtLimit": N_("A part is at its limit"),
    "subunitOpened": N_("A part was opened"),
    "subunitClosed": N_("A part was closed"),
    "subunitTurnedOn": N_("A part was switched on"),
    "subunitTurnedOff": N_("A part was switched off"),
    "subunitOffline": N_("A part is offline"),
    "subunitPowerSaver": N_("Saving power"),
    "subunitWarmingUp": N_("Warming up"),
    "subunitAdded": N_("A part was added"),
    "subunitRemoved": N_("A part was removed"),
    "subunitResourceAdded": N_("A resource was added"),
    "subunitResourceRemoved": N_("A resource was removed"),
    "subunitRecoverableFailure": N_("A part failed; it may recover"),
    "subunitUnrecoverableFailure": N_("A part failed for good"),
    "subunitRecoverableStorageError": N_("A storage error; it may recover"),
    "subunitUnrecoverableStorageError": N_("A storage error that will not recover"),
    "subunitMotorFailure": N_("A motor failed"),
    "subunitMemoryExhausted": N_("Out of memory"),
    "subunitUnderTemperature": N_("A part is too cold"),
    "subunitOverTemperature": N_("A part is too hot"),
    "subunitTimingFailure": N_("A part is out of step"),
    "subunitThermistorFailure": N_("A temperature sensor failed"),
    "doorOpen": N_("A door is open"),
    "doorClosed": N_("A door was closed"),
    "powerUp": N_("Switched on"),
    "powerDown": N_("Switched off"),
    "printerNMSReset": N_("Restarted over the network"),
    "printerManualReset": N_("Restarted by hand"),
    "printerReadyToPrint": N_("Ready to print"),
    "inputMediaTrayMissing": N_("A paper tray is missing"),
    "inputMediaSizeChange": N_("The paper size changed"),
    "inputMediaWeightChange": N_("The paper weight changed"),
    "inputMediaTypeChange": N_("The paper type changed"),
    "inputMediaColorChange": N_("The paper colour changed"),
    "inputMediaFormPartsChange": N_("The form changed"),
    "inputMediaSupplyLow": N_("Paper is low"),
    "inputMediaSupplyEmpty": N_("A paper tray is empty"),
    "inputMediaChangeRequest": N_("Asks for other paper"),
    "inputManualInputRequest": N_("Waits for paper in the manual feed"),
    "inputTrayPositionFailure": N_("A tray is not in its place"),
    "inputTrayElevationFailure": N_("A tray cannot lift its paper"),
    "inputCannotFeedSizeSelected": N_("The chosen paper size cannot be fed"),
    "outputMediaTrayMissing": N_("An output bin is missing"),
    "outputMediaTrayAlmostFull": N_("The output bin is nearly full"),
    "outputMediaTrayFull": N_("The output bin is full"),
    "outputMailboxSelectFailure": N_("A mailbox could not be chosen"),
    "markerFuserUnderTemperature": N_("The fuser is too cold"),
    "markerFuserOverTemperature": N_("The fuser is too hot"),
    "markerFuserTimingFailure": N_("The fuser is out of step"),
    "markerFuserThermistorFailure": N_("The fuser's temperature sensor failed"),
    "markerAdjustingPrintQuality": N_("Adjusting the print quality"),
    "markerTonerEmpty": N_("Toner is empty"),
    "markerInkEmpty": N_("Ink is empty"),
    "markerPrintRibbonEmpty": N_("The ribbon is used up"),
    "markerTonerAlmostEmpty": N_("Toner is low"),
    "markerInkAlmostEmpty": N_("Ink is low"),
    "markerPrintRibbonAlmostEmpty": N_("The ribbon is nearly used up"),
    "markerWasteTonerReceptacleAlmostFull": N_("The waste toner container is nearly full"),
    "markerWasteInkReceptacleAlmostFull": N_("The waste ink container is nearly full"),
    "markerWasteTonerReceptacleFull": N_("The waste toner container is full"),
    "markerWasteInkReceptacleFull": N_("The waste ink container is full"),
    "markerOpcLifeAlmostOver": N_("The drum is nearly worn out"),
    "markerOpcLifeOver": N_("The drum is worn out"),
    "markerDeveloperAlmostEmpty": N_("Developer is low"),
    "markerDeveloperEmpty": N_("Developer is empty"),
    "markerTonerCartridgeMissing": N_("A toner cartridge is missing"),
    "mediaPathMediaTrayMissing": N_("A tray of the paper path is missing"),
    "mediaPathMediaTrayAlmostFull": N_("A tray of the paper path is nearly full"),
    "mediaPathMediaTrayFull": N_("A tray of the paper path is full"),
    "mediaPathCannotDuplexMediaSelected": N_("The chosen paper cannot be printed on both sides"),
    "interpreterMemoryIncrease": N_("Memory was added"),
    "interpreterMemoryDecrease": N_("Memory was removed"),
    "interpreterCartridgeAdded": N_("A font or language card was added"),
    "interpreterCartridgeDeleted": N_("A font or language card was removed"),
    "interpreterResourceAdded": N_("A font or form was added"),
    "interpreterResourceDeleted": N_("A font or form was removed"),
    "interpreterResourceUnavailable": N_("A font or form is missing"),
    "interpreterComplexPageEncountered": N_("A page was too complex"),
    "alertRemovalOfBinaryChangeEntry": N_("An alert was withdrawn"),
}
