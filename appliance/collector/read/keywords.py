# SPDX-License-Identifier: Apache-2.0
"""Numbers of the MIBs ↔ their keywords: RFC 3805 and IANA-PRINTER-MIB, RFC 2790, RFC 1213."""

from __future__ import annotations

from appliance.model.reading import SupplyClass


def name(keywords: dict[int, str], number: int | None) -> str | None:
    """The keyword of `number`; None where there is no number, "unknown" where the MIB does not list it."""
    return None if number is None else keywords.get(number, "unknown")


def detected_errors(octets: bytes) -> list[str]:
    """hrPrinterDetectedErrorState: bit 0 is the highest bit of the first octet. Agents send one octet or two."""
    bits = [8 * i + b for i, octet in enumerate(octets[:2]) for b in range(8) if octet & (0x80 >> b)]
    return [DETECTED_ERRORS[b] for b in bits if b < len(DETECTED_ERRORS)]


def sub_unit_status(number: int | None) -> list[str]:
    """PrtSubUnitStatusTC is a sum: availability (0-6), alerts (8, 16), off-line (32), in transition (64)."""
    if number is None or not 0 <= number < 128:
        return []
    words = [SUB_UNIT_AVAILABILITY.get(number & 7, "unknown")]
    return words + [word for bit, word in SUB_UNIT_FLAGS.items() if number & bit]


# RFC 2790 -----------------------------------------------------------------------------------------------------
PRINTER_STATUS = {1: "other", 2: "unknown", 3: "idle", 4: "printing", 5: "warmup"}
DEVICE_STATUS = {1: "unknown", 2: "running", 3: "warning", 4: "testing", 5: "down"}
DETECTED_ERRORS = (
    "lowPaper", "noPaper", "lowToner", "noToner", "doorOpen", "jammed", "offline", "serviceRequested",
    "inputTrayMissing", "outputTrayMissing", "markerSupplyMissing", "outputNearFull", "outputFull",
    "inputTrayEmpty", "overduePreventMaint",
)  # fmt: skip
STORAGE_TYPE = {
    1: "other", 2: "ram", 3: "virtualMemory", 4: "fixedDisk", 5: "removableDisk", 6: "floppyDisk",
    7: "compactDisc", 8: "ramDisk", 9: "flashMemory", 10: "networkDisk",
}  # fmt: skip

# RFC 3805 -----------------------------------------------------------------------------------------------------
PRESENT_ON_OFF = {1: "other", 3: "on", 4: "off", 5: "notPresent"}
MEDIA_UNIT = {3: "tenThousandthsOfInches", 4: "micrometers"}
CAPACITY_UNIT = {
    1: "other", 2: "unknown", 3: "tenThousandthsOfInches", 4: "micrometers", 8: "sheets", 16: "feet",
    17: "meters", 18: "items", 19: "percent",
}  # fmt: skip
SUB_UNIT_AVAILABILITY = {
    0: "availableAndIdle", 1: "unavailableAndOnRequest", 2: "availableAndStandby", 3: "unavailableBecauseBroken",
    4: "availableAndActive", 5: "unknown", 6: "availableAndBusy",
}  # fmt: skip
SUB_UNIT_FLAGS = {8: "nonCriticalAlerts", 16: "criticalAlerts", 32: "offLine", 64: "transitioning"}
INPUT_TYPE = {
    1: "other", 2: "unknown", 3: "sheetFeedAutoRemovableTray", 4: "sheetFeedAutoNonRemovableTray",
    5: "sheetFeedManual", 6: "continuousRoll", 7: "continuousFanFold",
}  # fmt: skip
OUTPUT_TYPE = {
    1: "other", 2: "unknown", 3: "removableBin", 4: "unRemovableBin", 5: "continuousRollDevice", 6: "mailBox",
    7: "continuousFanFold",
}  # fmt: skip
STACKING_ORDER = {2: "unknown", 3: "firstToLast", 4: "lastToFirst"}
DELIVERY_ORIENTATION = {3: "faceUp", 4: "faceDown"}
COVER_STATUS = {
    1: "other", 2: "unknown", 3: "coverOpen", 4: "coverClosed", 5: "interlockOpen", 6: "interlockClosed",
}  # fmt: skip
COUNTER_UNIT = {
    3: "tenThousandthsOfInches", 4: "micrometers", 5: "characters", 6: "lines", 7: "impressions", 8: "sheets",
    9: "dotRow", 11: "hours", 16: "feet", 17: "meters",
}  # fmt: skip
SUPPLY_CLASS: dict[int, SupplyClass] = {
    1: "other", 3: "supplyThatIsConsumed", 4: "receptacleThatIsFilled",
}  # fmt: skip
SUPPLY_TYPE = {
    1: "other", 2: "unknown", 3: "toner", 4: "wasteToner", 5: "ink", 6: "inkCartridge", 7: "inkRibbon",
    8: "wasteInk", 9: "opc", 10: "developer", 11: "fuserOil", 12: "solidWax", 13: "ribbonWax", 14: "wasteWax",
    15: "fuser", 16: "coronaWire", 17: "fuserOilWick", 18: "cleanerUnit", 19: "fuserCleaningPad",
    20: "transferUnit", 21: "tonerCartridge", 22: "fuserOiler", 23: "water", 24: "wasteWater",
    25: "glueWaterAdditive", 26: "wastePaper", 27: "bindingSupply", 28: "bandingSupply", 29: "stitchingWire",
    30: "shrinkWrap", 31: "paperWrap", 32: "staples", 33: "inserts", 34: "covers",
}  # fmt: skip
SUPPLY_UNIT = {
    1: "other", 2: "unknown", 3: "tenThousandthsOfInches", 4: "micrometers", 7: "impressions", 8: "sheets",
    11: "hours", 12: "thousandthsOfOunces", 13: "tenthsOfGrams", 14: "hundrethsOfFluidOunces",
    15: "tenthsOfMilliliters", 16: "feet", 17: "meters", 18: "items", 19: "percent",
}  # fmt: skip
RECEPTACLES = frozenset({"wasteToner", "wasteInk", "wasteWax", "wasteWater", "wastePaper"})
MARKING = frozenset({"toner", "tonerCartridge", "ink", "inkCartridge", "inkRibbon", "solidWax", "ribbonWax"})
"""Types of supply whose colours are the colours a printer prints in."""

ALERT_SEVERITY = {1: "other", 3: "critical", 4: "warning", 5: "warningBinaryChangeEvent"}
ALERT_TRAINING = {
    1: "other", 2: "unknown", 3: "untrained", 4: "trained", 5: "fieldService", 6: "management",
    7: "noInterventionRequired",
}  # fmt: skip
ALERT_GROUP = {
    1: "other", 3: "hostResourcesMIBStorageTable", 4: "hostResourcesMIBDeviceTable", 5: "generalPrinter",
    6: "cover", 7: "localization", 8: "input", 9: "output", 10: "marker", 11: "markerSupplies",
    12: "markerColorant", 13: "mediaPath", 14: "channel", 15: "interpreter", 16: "consoleDisplayBuffer",
    17: "consoleLights", 18: "alert", 30: "finDevice", 31: "finSupply", 32: "finSupplyMediaInput",
    33: "finAttribute",
}  # fmt: skip
ALERT_CODE = {
    1: "other", 2: "unknown", 3: "coverOpen", 4: "coverClosed", 5: "interlockOpen", 6: "interlockClosed",
    7: "configurationChange", 8: "jam", 9: "subunitMissing", 10: "subunitLifeAlmostOver", 11: "subunitLifeOver",
    12: "subunitAlmostEmpty", 13: "subunitEmpty", 14: "subunitAlmostFull", 15: "subunitFull",
    16: "subunitNearLimit", 17: "subunitAtLimit", 18: "subunitOpened", 19: "subunitClosed",
    20: "subunitTurnedOn", 21: "subunitTurnedOff", 22: "subunitOffline", 23: "subunitPowerSaver",
    24: "subunitWarmingUp", 25: "subunitAdded", 26: "subunitRemoved", 27: "subunitResourceAdded",
    28: "subunitResourceRemoved", 29: "subunitRecoverableFailure", 30: "subunitUnrecoverableFailure",
    31: "subunitRecoverableStorageError", 32: "subunitUnrecoverableStorageError", 33: "subunitMotorFailure",
    34: "subunitMemoryExhausted", 35: "subunitUnderTemperature", 36: "subunitOverTemperature",
    37: "subunitTimingFailure", 38: "subunitThermistorFailure",
    501: "doorOpen", 502: "doorClosed", 503: "powerUp", 504: "powerDown", 505: "printerNMSReset",
    506: "printerManualReset", 507: "printerReadyToPrint",
    801: "inputMediaTrayMissing", 802: "inputMediaSizeChange", 803: "inputMediaWeightChange",
    804: "inputMediaTypeChange", 805: "inputMediaColorChange", 806: "inputMediaFormPartsChange",
    807: "inputMediaSupplyLow", 808: "inputMediaSupplyEmpty", 809: "inputMediaChangeRequest",
    810: "inputManualInputRequest", 811: "inputTrayPositionFailure", 812: "inputTrayElevationFailure",
    813: "inputCannotFeedSizeSelected",
    901: "outputMediaTrayMissing", 902: "outputMediaTrayAlmostFull", 903: "outputMediaTrayFull",
    904: "outputMailboxSelectFailure",
    1001: "markerFuserUnderTemperature", 1002: "markerFuserOverTemperature", 1003: "markerFuserTimingFailure",
    1004: "markerFuserThermistorFailure", 1005: "markerAdjustingPrintQuality",
    1101: "markerTonerEmpty", 1102: "markerInkEmpty", 1103: "markerPrintRibbonEmpty",
    1104: "markerTonerAlmostEmpty", 1105: "markerInkAlmostEmpty", 1106: "markerPrintRibbonAlmostEmpty",
    1107: "markerWasteTonerReceptacleAlmostFull", 1108: "markerWasteInkReceptacleAlmostFull",
    1109: "markerWasteTonerReceptacleFull", 1110: "markerWasteInkReceptacleFull",
    1111: "markerOpcLifeAlmostOver", 1112: "markerOpcLifeOver", 1113: "markerDeveloperAlmostEmpty",
    1114: "markerDeveloperEmpty", 1115: "markerTonerCartridgeMissing",
    1301: "mediaPathMediaTrayMissing", 1302: "mediaPathMediaTrayAlmostFull", 1303: "mediaPathMediaTrayFull",
    1304: "mediaPathCannotDuplexMediaSelected",
    1501: "interpreterMemoryIncrease", 1502: "interpreterMemoryDecrease", 1503: "interpreterCartridgeAdded",
    1504: "interpreterCartridgeDeleted", 1505: "interpreterResourceAdded", 1506: "interpreterResourceDeleted",
    1507: "interpreterResourceUnavailable", 1509: "interpreterComplexPageEncountered",
    1801: "alertRemovalOfBinaryChangeEntry",
}  # fmt: skip
