from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

BITCOIN_QUERY_STATUS_DECODING_TRANSACTIONS_FINISHED: BitcoinQueryStatus
BITCOIN_QUERY_STATUS_DECODING_TRANSACTIONS_STARTED: BitcoinQueryStatus
BITCOIN_QUERY_STATUS_QUERYING_TRANSACTIONS: BitcoinQueryStatus
BITCOIN_QUERY_STATUS_QUERYING_TRANSACTIONS_FINISHED: BitcoinQueryStatus
BITCOIN_QUERY_STATUS_QUERYING_TRANSACTIONS_STARTED: BitcoinQueryStatus
BITCOIN_QUERY_STATUS_UNSPECIFIED: BitcoinQueryStatus
DESCRIPTOR: _descriptor.FileDescriptor
EVM_QUERY_STATUS_QUERYING_EVM_TOKENS_TRANSACTIONS: EvmQueryStatus
EVM_QUERY_STATUS_QUERYING_INTERNAL_TRANSACTIONS: EvmQueryStatus
EVM_QUERY_STATUS_QUERYING_TRANSACTIONS: EvmQueryStatus
EVM_QUERY_STATUS_QUERYING_TRANSACTIONS_FINISHED: EvmQueryStatus
EVM_QUERY_STATUS_QUERYING_TRANSACTIONS_STARTED: EvmQueryStatus
EVM_QUERY_STATUS_UNSPECIFIED: EvmQueryStatus
HISTORY_EVENTS_QUERY_STATUS_QUERYING_EVENTS_FINISHED: HistoryEventsQueryStatus
HISTORY_EVENTS_QUERY_STATUS_QUERYING_EVENTS_STARTED: HistoryEventsQueryStatus
HISTORY_EVENTS_QUERY_STATUS_QUERYING_EVENTS_STATUS_UPDATE: HistoryEventsQueryStatus
HISTORY_EVENTS_QUERY_STATUS_UNSPECIFIED: HistoryEventsQueryStatus
HISTORY_EVENT_TYPE_HISTORY_QUERY: HistoryEventType
HISTORY_EVENT_TYPE_UNSPECIFIED: HistoryEventType
SOLANA_QUERY_STATUS_QUERYING_TRANSACTIONS_FINISHED: SolanaQueryStatus
SOLANA_QUERY_STATUS_QUERYING_TRANSACTIONS_STARTED: SolanaQueryStatus
SOLANA_QUERY_STATUS_UNSPECIFIED: SolanaQueryStatus

class AccountingRuleConflict(_message.Message):
    __slots__ = ["num_of_conflicts"]
    NUM_OF_CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    num_of_conflicts: int
    def __init__(self, num_of_conflicts: _Optional[int] = ...) -> None: ...

class BalanceBucket(_message.Message):
    __slots__ = ["asset", "location", "location_label", "protocol"]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    LOCATION_LABEL_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    asset: str
    location: str
    location_label: str
    protocol: str
    def __init__(self, asset: _Optional[str] = ..., protocol: _Optional[str] = ..., location: _Optional[str] = ..., location_label: _Optional[str] = ...) -> None: ...

class BitcoinTransactionQuery(_message.Message):
    __slots__ = ["addresses", "period", "status"]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    period: Period
    status: BitcoinQueryStatus
    def __init__(self, addresses: _Optional[_Iterable[str]] = ..., period: _Optional[_Union[Period, _Mapping]] = ..., status: _Optional[_Union[BitcoinQueryStatus, str]] = ...) -> None: ...

class EvmTransactionQuery(_message.Message):
    __slots__ = ["address", "period", "status"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    address: str
    period: Period
    status: EvmQueryStatus
    def __init__(self, address: _Optional[str] = ..., period: _Optional[_Union[Period, _Mapping]] = ..., status: _Optional[_Union[EvmQueryStatus, str]] = ...) -> None: ...

class EvmTransactionStatus(_message.Message):
    __slots__ = ["address", "evm_chain", "period", "status"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EVM_CHAIN_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    address: str
    evm_chain: str
    period: Period
    status: EvmQueryStatus
    def __init__(self, address: _Optional[str] = ..., evm_chain: _Optional[str] = ..., period: _Optional[_Union[Period, _Mapping]] = ..., status: _Optional[_Union[EvmQueryStatus, str]] = ...) -> None: ...

class HistoryEventsStatus(_message.Message):
    __slots__ = ["event_type", "location", "name", "period", "status"]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    event_type: HistoryEventType
    location: str
    name: str
    period: Period
    status: HistoryEventsQueryStatus
    def __init__(self, status: _Optional[_Union[HistoryEventsQueryStatus, str]] = ..., location: _Optional[str] = ..., event_type: _Optional[_Union[HistoryEventType, str]] = ..., name: _Optional[str] = ..., period: _Optional[_Union[Period, _Mapping]] = ...) -> None: ...

class InternalTxFixed(_message.Message):
    __slots__ = ["chain", "tx_hash"]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    TX_HASH_FIELD_NUMBER: _ClassVar[int]
    chain: str
    tx_hash: str
    def __init__(self, chain: _Optional[str] = ..., tx_hash: _Optional[str] = ...) -> None: ...

class NegativeBalanceDetected(_message.Message):
    __slots__ = ["asset", "balance_before", "bucket", "event_identifier", "group_identifier", "last_run_ts"]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    BALANCE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    EVENT_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    GROUP_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_TS_FIELD_NUMBER: _ClassVar[int]
    asset: str
    balance_before: str
    bucket: BalanceBucket
    event_identifier: int
    group_identifier: str
    last_run_ts: int
    def __init__(self, event_identifier: _Optional[int] = ..., group_identifier: _Optional[str] = ..., asset: _Optional[str] = ..., bucket: _Optional[_Union[BalanceBucket, _Mapping]] = ..., balance_before: _Optional[str] = ..., last_run_ts: _Optional[int] = ...) -> None: ...

class Period(_message.Message):
    __slots__ = ["to"]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ..., **kwargs) -> None: ...

class SolanaTransactionQuery(_message.Message):
    __slots__ = ["address", "period", "status"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    address: str
    period: Period
    status: SolanaQueryStatus
    def __init__(self, address: _Optional[str] = ..., period: _Optional[_Union[Period, _Mapping]] = ..., status: _Optional[_Union[SolanaQueryStatus, str]] = ...) -> None: ...

class TransactionStatus(_message.Message):
    __slots__ = ["bitcoin", "chain", "evm", "solana"]
    BITCOIN_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    EVM_FIELD_NUMBER: _ClassVar[int]
    SOLANA_FIELD_NUMBER: _ClassVar[int]
    bitcoin: BitcoinTransactionQuery
    chain: str
    evm: EvmTransactionQuery
    solana: SolanaTransactionQuery
    def __init__(self, chain: _Optional[str] = ..., evm: _Optional[_Union[EvmTransactionQuery, _Mapping]] = ..., bitcoin: _Optional[_Union[BitcoinTransactionQuery, _Mapping]] = ..., solana: _Optional[_Union[SolanaTransactionQuery, _Mapping]] = ...) -> None: ...

class UnmatchedAssetMovements(_message.Message):
    __slots__ = ["count"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class UnmatchedBridgeTransactions(_message.Message):
    __slots__ = ["count"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class EvmQueryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class BitcoinQueryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class SolanaQueryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class HistoryEventsQueryStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class HistoryEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
