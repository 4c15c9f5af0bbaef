from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

BINANCE_LOCATION_BINANCE: BinanceLocation
BINANCE_LOCATION_BINANCEUS: BinanceLocation
BINANCE_LOCATION_UNSPECIFIED: BinanceLocation
DESCRIPTOR: _descriptor.FileDescriptor
SERVICE_BEACONCHAIN: Service
SERVICE_BLOCKSCOUT: Service
SERVICE_ETHERSCAN: Service
SERVICE_GNOSIS_PAY: Service
SERVICE_HELIUS: Service
SERVICE_JUPITER: Service
SERVICE_MONERIUM: Service
SERVICE_THEGRAPH: Service
SERVICE_UNSPECIFIED: Service

class BinancePairsMissing(_message.Message):
    __slots__ = ["location", "name"]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    location: BinanceLocation
    name: str
    def __init__(self, location: _Optional[_Union[BinanceLocation, str]] = ..., name: _Optional[str] = ...) -> None: ...

class ExchangeUnknownAsset(_message.Message):
    __slots__ = ["details", "identifier", "location", "name"]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    details: str
    identifier: str
    location: str
    name: str
    def __init__(self, location: _Optional[str] = ..., name: _Optional[str] = ..., identifier: _Optional[str] = ..., details: _Optional[str] = ...) -> None: ...

class GnosispaySessionkeyExpired(_message.Message):
    __slots__ = ["error"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...

class MissingApiKey(_message.Message):
    __slots__ = ["location", "service"]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    location: str
    service: Service
    def __init__(self, service: _Optional[_Union[Service, str]] = ..., location: _Optional[str] = ...) -> None: ...

class MoneriumSessionkeyExpired(_message.Message):
    __slots__ = ["error"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...

class NoAvailableIndexers(_message.Message):
    __slots__ = ["chain"]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    chain: str
    def __init__(self, chain: _Optional[str] = ...) -> None: ...

class Service(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class BinanceLocation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
