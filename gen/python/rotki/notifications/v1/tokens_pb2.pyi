from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
TOKEN_KIND_EVM: TokenKind
TOKEN_KIND_SOLANA: TokenKind
TOKEN_KIND_UNSPECIFIED: TokenKind

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

class NewTokenDetected(_message.Message):
    __slots__ = ["is_ignored", "seen_description", "seen_tx_reference", "token_identifier", "token_kind"]
    IS_IGNORED_FIELD_NUMBER: _ClassVar[int]
    SEEN_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SEEN_TX_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KIND_FIELD_NUMBER: _ClassVar[int]
    is_ignored: bool
    seen_description: SeenDescription
    seen_tx_reference: str
    token_identifier: str
    token_kind: TokenKind
    def __init__(self, token_identifier: _Optional[str] = ..., token_kind: _Optional[_Union[TokenKind, str]] = ..., is_ignored: bool = ..., seen_tx_reference: _Optional[str] = ..., seen_description: _Optional[_Union[SeenDescription, _Mapping]] = ...) -> None: ...

class SeenDescription(_message.Message):
    __slots__ = ["text"]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class TokenKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
