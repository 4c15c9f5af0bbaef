from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DetectedToken(_message.Message):
    __slots__ = ["token_identifier"]
    TOKEN_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    token_identifier: str
    def __init__(self, token_identifier: _Optional[str] = ...) -> None: ...

class NewEvmTokenDetected(_message.Message):
    __slots__ = ["tokens"]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[DetectedToken]
    def __init__(self, tokens: _Optional[_Iterable[_Union[DetectedToken, _Mapping]]] = ...) -> None: ...
