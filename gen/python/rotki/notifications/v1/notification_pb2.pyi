from rotki.notifications.v1 import accounts_pb2 as _accounts_pb2
from rotki.notifications.v1 import errors_pb2 as _errors_pb2
from rotki.notifications.v1 import migrations_pb2 as _migrations_pb2
from rotki.notifications.v1 import tokens_pb2 as _tokens_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Notification(_message.Message):
    __slots__ = ["balance_snapshot_error", "evm_address_migration", "legacy", "login_status", "new_evm_token_detected"]
    BALANCE_SNAPSHOT_ERROR_FIELD_NUMBER: _ClassVar[int]
    EVM_ADDRESS_MIGRATION_FIELD_NUMBER: _ClassVar[int]
    LEGACY_FIELD_NUMBER: _ClassVar[int]
    LOGIN_STATUS_FIELD_NUMBER: _ClassVar[int]
    NEW_EVM_TOKEN_DETECTED_FIELD_NUMBER: _ClassVar[int]
    balance_snapshot_error: _errors_pb2.BalanceSnapshotError
    evm_address_migration: _accounts_pb2.EvmAddressMigration
    legacy: _errors_pb2.Legacy
    login_status: _migrations_pb2.LoginStatus
    new_evm_token_detected: _tokens_pb2.NewEvmTokenDetected
    def __init__(self, legacy: _Optional[_Union[_errors_pb2.Legacy, _Mapping]] = ..., balance_snapshot_error: _Optional[_Union[_errors_pb2.BalanceSnapshotError, _Mapping]] = ..., login_status: _Optional[_Union[_migrations_pb2.LoginStatus, _Mapping]] = ..., evm_address_migration: _Optional[_Union[_accounts_pb2.EvmAddressMigration, _Mapping]] = ..., new_evm_token_detected: _Optional[_Union[_tokens_pb2.NewEvmTokenDetected, _Mapping]] = ...) -> None: ...
