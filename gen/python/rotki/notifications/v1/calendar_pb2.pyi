from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CalendarReminder(_message.Message):
    __slots__ = ["address", "auto_delete", "blockchain", "color", "counterparty", "description", "identifier", "name", "reminder", "timestamp"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AUTO_DELETE_FIELD_NUMBER: _ClassVar[int]
    BLOCKCHAIN_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    COUNTERPARTY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REMINDER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    address: str
    auto_delete: bool
    blockchain: str
    color: str
    counterparty: str
    description: str
    identifier: int
    name: str
    reminder: Reminder
    timestamp: int
    def __init__(self, identifier: _Optional[int] = ..., name: _Optional[str] = ..., timestamp: _Optional[int] = ..., auto_delete: bool = ..., description: _Optional[str] = ..., counterparty: _Optional[str] = ..., address: _Optional[str] = ..., color: _Optional[str] = ..., blockchain: _Optional[str] = ..., reminder: _Optional[_Union[Reminder, _Mapping]] = ...) -> None: ...

class Reminder(_message.Message):
    __slots__ = ["identifier", "secs_before"]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SECS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    identifier: int
    secs_before: int
    def __init__(self, identifier: _Optional[int] = ..., secs_before: _Optional[int] = ...) -> None: ...
