from rotki.notifications.v1 import accounts_pb2 as _accounts_pb2
from rotki.notifications.v1 import calendar_pb2 as _calendar_pb2
from rotki.notifications.v1 import errors_pb2 as _errors_pb2
from rotki.notifications.v1 import history_pb2 as _history_pb2
from rotki.notifications.v1 import migrations_pb2 as _migrations_pb2
from rotki.notifications.v1 import premium_pb2 as _premium_pb2
from rotki.notifications.v1 import progress_pb2 as _progress_pb2
from rotki.notifications.v1 import services_pb2 as _services_pb2
from rotki.notifications.v1 import tokens_pb2 as _tokens_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Notification(_message.Message):
    __slots__ = ["accounting_rule_conflict", "balance_snapshot_error", "binance_pairs_missing", "calendar_reminder", "data_migration_status", "database_upload_progress", "database_upload_result", "db_upgrade_status", "evm_address_migration", "evm_transaction_status", "evmlike_accounts_detection", "exchange_unknown_asset", "gnosispay_sessionkey_expired", "history_events_status", "internal_tx_fixed", "legacy", "login_status", "missing_api_key", "monerium_sessionkey_expired", "negative_balance_detected", "new_evm_token_detected", "new_token_detected", "no_available_indexers", "premium_status_update", "progress_updates", "refresh_balances", "solana_tokens_migration", "transaction_status", "unmatched_asset_movements", "unmatched_bridge_transactions"]
    ACCOUNTING_RULE_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    BALANCE_SNAPSHOT_ERROR_FIELD_NUMBER: _ClassVar[int]
    BINANCE_PAIRS_MISSING_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_REMINDER_FIELD_NUMBER: _ClassVar[int]
    DATABASE_UPLOAD_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_UPLOAD_RESULT_FIELD_NUMBER: _ClassVar[int]
    DATA_MIGRATION_STATUS_FIELD_NUMBER: _ClassVar[int]
    DB_UPGRADE_STATUS_FIELD_NUMBER: _ClassVar[int]
    EVMLIKE_ACCOUNTS_DETECTION_FIELD_NUMBER: _ClassVar[int]
    EVM_ADDRESS_MIGRATION_FIELD_NUMBER: _ClassVar[int]
    EVM_TRANSACTION_STATUS_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_UNKNOWN_ASSET_FIELD_NUMBER: _ClassVar[int]
    GNOSISPAY_SESSIONKEY_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_EVENTS_STATUS_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_TX_FIXED_FIELD_NUMBER: _ClassVar[int]
    LEGACY_FIELD_NUMBER: _ClassVar[int]
    LOGIN_STATUS_FIELD_NUMBER: _ClassVar[int]
    MISSING_API_KEY_FIELD_NUMBER: _ClassVar[int]
    MONERIUM_SESSIONKEY_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_BALANCE_DETECTED_FIELD_NUMBER: _ClassVar[int]
    NEW_EVM_TOKEN_DETECTED_FIELD_NUMBER: _ClassVar[int]
    NEW_TOKEN_DETECTED_FIELD_NUMBER: _ClassVar[int]
    NO_AVAILABLE_INDEXERS_FIELD_NUMBER: _ClassVar[int]
    PREMIUM_STATUS_UPDATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_UPDATES_FIELD_NUMBER: _ClassVar[int]
    REFRESH_BALANCES_FIELD_NUMBER: _ClassVar[int]
    SOLANA_TOKENS_MIGRATION_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_STATUS_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_ASSET_MOVEMENTS_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_BRIDGE_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    accounting_rule_conflict: _history_pb2.AccountingRuleConflict
    balance_snapshot_error: _errors_pb2.BalanceSnapshotError
    binance_pairs_missing: _services_pb2.BinancePairsMissing
    calendar_reminder: _calendar_pb2.CalendarReminder
    data_migration_status: _migrations_pb2.DataMigrationStatus
    database_upload_progress: _premium_pb2.DatabaseUploadProgress
    database_upload_result: _premium_pb2.DatabaseUploadResult
    db_upgrade_status: _migrations_pb2.DbUpgradeStatus
    evm_address_migration: _accounts_pb2.EvmAddressMigration
    evm_transaction_status: _history_pb2.EvmTransactionStatus
    evmlike_accounts_detection: _accounts_pb2.EvmlikeAccountsDetection
    exchange_unknown_asset: _services_pb2.ExchangeUnknownAsset
    gnosispay_sessionkey_expired: _services_pb2.GnosispaySessionkeyExpired
    history_events_status: _history_pb2.HistoryEventsStatus
    internal_tx_fixed: _history_pb2.InternalTxFixed
    legacy: _errors_pb2.Legacy
    login_status: _migrations_pb2.LoginStatus
    missing_api_key: _services_pb2.MissingApiKey
    monerium_sessionkey_expired: _services_pb2.MoneriumSessionkeyExpired
    negative_balance_detected: _history_pb2.NegativeBalanceDetected
    new_evm_token_detected: _tokens_pb2.NewEvmTokenDetected
    new_token_detected: _tokens_pb2.NewTokenDetected
    no_available_indexers: _services_pb2.NoAvailableIndexers
    premium_status_update: _premium_pb2.PremiumStatusUpdate
    progress_updates: _progress_pb2.ProgressUpdates
    refresh_balances: _accounts_pb2.RefreshBalances
    solana_tokens_migration: _migrations_pb2.SolanaTokensMigration
    transaction_status: _history_pb2.TransactionStatus
    unmatched_asset_movements: _history_pb2.UnmatchedAssetMovements
    unmatched_bridge_transactions: _history_pb2.UnmatchedBridgeTransactions
    def __init__(self, legacy: _Optional[_Union[_errors_pb2.Legacy, _Mapping]] = ..., balance_snapshot_error: _Optional[_Union[_errors_pb2.BalanceSnapshotError, _Mapping]] = ..., login_status: _Optional[_Union[_migrations_pb2.LoginStatus, _Mapping]] = ..., evm_address_migration: _Optional[_Union[_accounts_pb2.EvmAddressMigration, _Mapping]] = ..., new_evm_token_detected: _Optional[_Union[_tokens_pb2.NewEvmTokenDetected, _Mapping]] = ..., premium_status_update: _Optional[_Union[_premium_pb2.PremiumStatusUpdate, _Mapping]] = ..., db_upgrade_status: _Optional[_Union[_migrations_pb2.DbUpgradeStatus, _Mapping]] = ..., data_migration_status: _Optional[_Union[_migrations_pb2.DataMigrationStatus, _Mapping]] = ..., evmlike_accounts_detection: _Optional[_Union[_accounts_pb2.EvmlikeAccountsDetection, _Mapping]] = ..., new_token_detected: _Optional[_Union[_tokens_pb2.NewTokenDetected, _Mapping]] = ..., transaction_status: _Optional[_Union[_history_pb2.TransactionStatus, _Mapping]] = ..., evm_transaction_status: _Optional[_Union[_history_pb2.EvmTransactionStatus, _Mapping]] = ..., missing_api_key: _Optional[_Union[_services_pb2.MissingApiKey, _Mapping]] = ..., history_events_status: _Optional[_Union[_history_pb2.HistoryEventsStatus, _Mapping]] = ..., refresh_balances: _Optional[_Union[_accounts_pb2.RefreshBalances, _Mapping]] = ..., database_upload_result: _Optional[_Union[_premium_pb2.DatabaseUploadResult, _Mapping]] = ..., database_upload_progress: _Optional[_Union[_premium_pb2.DatabaseUploadProgress, _Mapping]] = ..., accounting_rule_conflict: _Optional[_Union[_history_pb2.AccountingRuleConflict, _Mapping]] = ..., calendar_reminder: _Optional[_Union[_calendar_pb2.CalendarReminder, _Mapping]] = ..., exchange_unknown_asset: _Optional[_Union[_services_pb2.ExchangeUnknownAsset, _Mapping]] = ..., progress_updates: _Optional[_Union[_progress_pb2.ProgressUpdates, _Mapping]] = ..., gnosispay_sessionkey_expired: _Optional[_Union[_services_pb2.GnosispaySessionkeyExpired, _Mapping]] = ..., monerium_sessionkey_expired: _Optional[_Union[_services_pb2.MoneriumSessionkeyExpired, _Mapping]] = ..., solana_tokens_migration: _Optional[_Union[_migrations_pb2.SolanaTokensMigration, _Mapping]] = ..., binance_pairs_missing: _Optional[_Union[_services_pb2.BinancePairsMissing, _Mapping]] = ..., unmatched_asset_movements: _Optional[_Union[_history_pb2.UnmatchedAssetMovements, _Mapping]] = ..., unmatched_bridge_transactions: _Optional[_Union[_history_pb2.UnmatchedBridgeTransactions, _Mapping]] = ..., negative_balance_detected: _Optional[_Union[_history_pb2.NegativeBalanceDetected, _Mapping]] = ..., internal_tx_fixed: _Optional[_Union[_history_pb2.InternalTxFixed, _Mapping]] = ..., no_available_indexers: _Optional[_Union[_services_pb2.NoAvailableIndexers, _Mapping]] = ...) -> None: ...
