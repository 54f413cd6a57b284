# SPDX-License-Identifier: Apache-2.0
"""Names of the objects a printer answers with, for people who read raw values.

Standard modules only: SNMPv2-MIB, IF-MIB, HOST-RESOURCES-MIB (RFC 2790), Printer-MIB (RFC 3805) and
PRINTER-PORT-MONITOR-MIB (PWG 5107.1).
"""

from __future__ import annotations

_HR = "1.3.6.1.2.1.25"
_PRT = "1.3.6.1.2.1.43"

_SCALARS = {
    "1.3.6.1.2.1.1": "sys: Descr ObjectID UpTime Contact Name Location Services ORLastChange",
    "1.3.6.1.2.1.2": "if: Number",
    f"{_HR}.1": "hrSystem: Uptime Date InitialLoadDevice InitialLoadParameters NumUsers Processes "
    "MaxProcesses",
    f"{_HR}.2": "hr: - MemorySize",
}
_TABLES = {
    "1.3.6.1.2.1.1.9.1": "sysOR: Index ID Descr UpTime",
    "1.3.6.1.2.1.2.2.1": "if: Index Descr Type Mtu Speed PhysAddress AdminStatus OperStatus LastChange InOctets "
    "InUcastPkts InNUcastPkts InDiscards InErrors InUnknownProtos OutOctets OutUcastPkts "
    "OutNUcastPkts OutDiscards OutErrors OutQLen Specific",
    "1.3.6.1.2.1.31.1.1.1": "if: Name InMulticastPkts InBroadcastPkts OutMulticastPkts OutBroadcastPkts HCInOctets "
    "HCInUcastPkts HCInMulticastPkts HCInBroadcastPkts HCOutOctets HCOutUcastPkts "
    "HCOutMulticastPkts HCOutBroadcastPkts LinkUpDownTrapEnable HighSpeed PromiscuousMode "
    "ConnectorPresent Alias CounterDiscontinuityTime",
    "1.3.6.1.2.1.4.20.1": "ipAdEnt: Addr IfIndex NetMask BcastAddr ReasmMaxSize",
    f"{_HR}.2.3.1": "hrStorage: Index Type Descr AllocationUnits Size Used AllocationFailures",
    f"{_HR}.3.2.1": "hrDevice: Index Type Descr ID Status Errors",
    f"{_HR}.3.3.1": "hrProcessor: FrwID Load",
    f"{_HR}.3.4.1": "hrNetwork: IfIndex",
    f"{_HR}.3.5.1": "hrPrinter: Status DetectedErrorState",
    f"{_HR}.3.6.1": "hrDiskStorage: Access Media Removeble Capacity",
    f"{_PRT}.5.1.1": "prt: GeneralConfigChanges GeneralCurrentLocalization GeneralReset GeneralCurrentOperator "
    "GeneralServicePerson InputDefaultIndex OutputDefaultIndex MarkerDefaultIndex "
    "MediaPathDefaultIndex ConsoleLocalization ConsoleNumberOfDisplayLines "
    "ConsoleNumberOfDisplayChars ConsoleDisable AuxiliarySheetStartupPage "
    "AuxiliarySheetBannerPage GeneralPrinterName GeneralSerialNumber AlertCriticalEvents "
    "AlertAllEvents",
    f"{_PRT}.5.2.1": "prt: StorageRefSeqNumber StorageRefIndex",
    f"{_PRT}.5.3.1": "prt: DeviceRefSeqNumber DeviceRefIndex",
    f"{_PRT}.6.1.1": "prtCover: Index Description Status",
    f"{_PRT}.7.1.1": "prtLocalization: Index Language Country CharacterSet",
    f"{_PRT}.8.2.1": "prtInput: Index Type DimUnit MediaDimFeedDirDeclared MediaDimXFeedDirDeclared "
    "MediaDimFeedDirChosen MediaDimXFeedDirChosen CapacityUnit MaxCapacity CurrentLevel Status "
    "MediaName Name VendorName Model Version SerialNumber Description Security MediaWeight "
    "MediaType MediaColor MediaFormParts MediaLoadTimeout NextIndex",
    f"{_PRT}.9.2.1": "prtOutput: Index Type CapacityUnit MaxCapacity RemainingCapacity Status Name VendorName "
    "Model Version SerialNumber Description Security DimUnit MaxDimFeedDir MaxDimXFeedDir "
    "MinDimFeedDir MinDimXFeedDir StackingOrder PageDeliveryOrientation Bursting Decollating "
    "PageCollated OffsetStacking",
    f"{_PRT}.10.2.1": "prtMarker: Index MarkTech CounterUnit LifeCount PowerOnCount ProcessColorants SpotColorants "
    "AddressabilityUnit AddressabilityFeedDir AddressabilityXFeedDir NorthMargin SouthMargin "
    "WestMargin EastMargin Status",
    f"{_PRT}.11.1.1": "prtMarkerSupplies: Index MarkerIndex ColorantIndex Class Type Description SupplyUnit "
    "MaxCapacity Level",
    f"{_PRT}.12.1.1": "prtMarkerColorant: Index MarkerIndex Role Value Tonality",
    f"{_PRT}.13.4.1": "prtMediaPath: Index MaxSpeedPrintUnit MediaSizeUnit MaxSpeed MaxMediaFeedDir "
    "MaxMediaXFeedDir MinMediaFeedDir MinMediaXFeedDir Type Description Status",
    f"{_PRT}.14.1.1": "prtChannel: Index Type ProtocolVersion CurrentJobCntlLangIndex DefaultPageDescLangIndex "
    "State IfIndex Status Information",
    f"{_PRT}.15.1.1": "prtInterpreter: Index LangFamily LangLevel LangVersion Description Version "
    "DefaultOrientation FeedAddressability XFeedAddressability DefaultCharSetIn DefaultCharSetOut "
    "TwoWay",
    f"{_PRT}.16.5.1": "prtConsoleDisplayBuffer: Index Text",
    f"{_PRT}.17.6.1": "prtConsole: LightIndex OnTime OffTime Color Description",
    f"{_PRT}.18.1.1": "prtAlert: Index SeverityLevel TrainingLevel Group GroupIndex Location Code Description Time",
    "1.3.6.1.4.1.2699.1.2.1.1": "ppm: GeneralNaturalLanguage GeneralNumberOfPrinters GeneralNumberOfPorts",
    "1.3.6.1.4.1.2699.1.2.1.2.1.1": "ppmPrinter: Index Name IEEE1284DeviceId NumberOfPorts PreferredPortIndex "
    "HrDeviceIndex SnmpCommunityName SnmpQueryEnabled",
}


def _rows(table: dict[str, str]) -> dict[str, str]:
    names = {}
    for root, row in table.items():
        prefix, _, columns = row.partition(": ")
        for number, column in enumerate(columns.split(), 1):
            if column != "-":
                names[f"{root}.{number}"] = prefix + column
    return names


_NAMES = _rows(_SCALARS) | _rows(_TABLES)


def name(oid: str) -> str | None:
    """ "prtInputName.1.2" for 1.3.6.1.2.1.43.8.2.1.13.1.2; None for an object of no standard module."""
    root = oid
    while (root := root.rpartition(".")[0]).count(".") >= 7:
        if found := _NAMES.get(root):
            return found + oid[len(root) :]
    return None
