from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
VERBOSITY_ERROR: Verbosity
VERBOSITY_UNSPECIFIED: Verbosity
VERBOSITY_WARNING: Verbosity

class BalanceSnapshotError(_message.Message):
    __slots__ = ["error", "location"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    error: str
    location: str
    def __init__(self, location: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class Legacy(_message.Message):
    __slots__ = ["value", "verbosity"]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERBOSITY_FIELD_NUMBER: _ClassVar[int]
    value: str
    verbosity: Verbosity
    def __init__(self, verbosity: _Optional[_Union[Verbosity, str]] = ..., value: _Optional[str] = ...) -> None: ...

class Verbosity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
