from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CurrentDbUpgrade(_message.Message):
    __slots__ = ["current_step", "description", "to_version", "total_steps"]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    current_step: int
    description: str
    to_version: int
    total_steps: int
    def __init__(self, to_version: _Optional[int] = ..., total_steps: _Optional[int] = ..., current_step: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class CurrentMigration(_message.Message):
    __slots__ = ["current_step", "description", "total_steps", "version"]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    current_step: int
    description: str
    total_steps: int
    version: int
    def __init__(self, version: _Optional[int] = ..., total_steps: _Optional[int] = ..., current_step: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class CurrentUpgrade(_message.Message):
    __slots__ = ["current_step", "from_db_version", "total_steps"]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    FROM_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    current_step: int
    from_db_version: int
    total_steps: int
    def __init__(self, from_db_version: _Optional[int] = ..., total_steps: _Optional[int] = ..., current_step: _Optional[int] = ...) -> None: ...

class DataMigrationStatus(_message.Message):
    __slots__ = ["current_migration", "start_version", "target_version"]
    CURRENT_MIGRATION_FIELD_NUMBER: _ClassVar[int]
    START_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_VERSION_FIELD_NUMBER: _ClassVar[int]
    current_migration: CurrentMigration
    start_version: int
    target_version: int
    def __init__(self, start_version: _Optional[int] = ..., target_version: _Optional[int] = ..., current_migration: _Optional[_Union[CurrentMigration, _Mapping]] = ...) -> None: ...

class DbUpgradeStatus(_message.Message):
    __slots__ = ["current_upgrade", "start_version", "target_version"]
    CURRENT_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    START_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_VERSION_FIELD_NUMBER: _ClassVar[int]
    current_upgrade: CurrentDbUpgrade
    start_version: int
    target_version: int
    def __init__(self, start_version: _Optional[int] = ..., target_version: _Optional[int] = ..., current_upgrade: _Optional[_Union[CurrentDbUpgrade, _Mapping]] = ...) -> None: ...

class LoginStatus(_message.Message):
    __slots__ = ["current_upgrade", "start_db_version", "target_db_version"]
    CURRENT_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    START_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_DB_VERSION_FIELD_NUMBER: _ClassVar[int]
    current_upgrade: CurrentUpgrade
    start_db_version: int
    target_db_version: int
    def __init__(self, start_db_version: _Optional[int] = ..., target_db_version: _Optional[int] = ..., current_upgrade: _Optional[_Union[CurrentUpgrade, _Mapping]] = ...) -> None: ...

class SolanaTokensMigration(_message.Message):
    __slots__ = ["identifiers"]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    identifiers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, identifiers: _Optional[_Iterable[str]] = ...) -> None: ...
