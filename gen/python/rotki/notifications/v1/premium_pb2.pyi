from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DatabaseCompression(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DatabaseEncryption(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DatabaseUpload(_message.Message):
    __slots__ = ["current_chunk", "total_chunks"]
    CURRENT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    TOTAL_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    current_chunk: int
    total_chunks: int
    def __init__(self, current_chunk: _Optional[int] = ..., total_chunks: _Optional[int] = ...) -> None: ...

class DatabaseUploadProgress(_message.Message):
    __slots__ = ["compressing", "encrypting", "uploading"]
    COMPRESSING_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTING_FIELD_NUMBER: _ClassVar[int]
    UPLOADING_FIELD_NUMBER: _ClassVar[int]
    compressing: DatabaseCompression
    encrypting: DatabaseEncryption
    uploading: DatabaseUpload
    def __init__(self, compressing: _Optional[_Union[DatabaseCompression, _Mapping]] = ..., encrypting: _Optional[_Union[DatabaseEncryption, _Mapping]] = ..., uploading: _Optional[_Union[DatabaseUpload, _Mapping]] = ...) -> None: ...

class DatabaseUploadResult(_message.Message):
    __slots__ = ["actionable", "message", "uploaded"]
    ACTIONABLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    UPLOADED_FIELD_NUMBER: _ClassVar[int]
    actionable: bool
    message: str
    uploaded: bool
    def __init__(self, uploaded: bool = ..., actionable: bool = ..., message: _Optional[str] = ...) -> None: ...

class PremiumStatusUpdate(_message.Message):
    __slots__ = ["expired", "is_premium_active", "reason"]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    IS_PREMIUM_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    expired: bool
    is_premium_active: bool
    reason: str
    def __init__(self, is_premium_active: bool = ..., expired: bool = ..., reason: _Optional[str] = ...) -> None: ...
