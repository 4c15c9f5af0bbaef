from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CurrentUpgrade(_message.Message):
    __slots__ = ["current_step", "from_db_version", "total_steps"]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    FROM_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    current_step: int
    from_db_version: int
    total_steps: int
    def __init__(self, from_db_version: _Optional[int] = ..., total_steps: _Optional[int] = ..., current_step: _Optional[int] = ...) -> None: ...

class LoginStatus(_message.Message):
    __slots__ = ["current_upgrade", "start_db_version", "target_db_version"]
    CURRENT_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    START_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    current_upgrade: CurrentUpgrade
    start_db_version: int
    target_db_version: int
    def __init__(self, start_db_version: _Optional[int] = ..., target_db_version: _Optional[int] = ..., current_upgrade: _Optional[_Union[CurrentUpgrade, _Mapping]] = ...) -> None: ...
