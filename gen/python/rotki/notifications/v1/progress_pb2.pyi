from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
STATS_COUNTERPARTY_KRAKEN: StatsCounterparty
STATS_COUNTERPARTY_LIQUITY: StatsCounterparty
STATS_COUNTERPARTY_UNSPECIFIED: StatsCounterparty

class CsvImportMessage(_message.Message):
    __slots__ = ["is_error", "msg", "rows"]
    IS_ERROR_FIELD_NUMBER: _ClassVar[int]
    MSG_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    is_error: bool
    msg: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, msg: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ..., is_error: bool = ...) -> None: ...

class CsvImportResult(_message.Message):
    __slots__ = ["messages", "source_name"]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAME_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[CsvImportMessage]
    source_name: str
    def __init__(self, source_name: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[CsvImportMessage, _Mapping]]] = ...) -> None: ...

class HistoricalBalanceProcessing(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class HistoricalPriceQuery(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class LiquityStakingQuery(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class MultiplePricesQuery(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ProgressUpdates(_message.Message):
    __slots__ = ["csv_import_result", "historical_balance_processing", "historical_price_query_status", "liquity_staking_query", "multiple_prices_query_status", "processed", "protocol_cache_updates", "stats_price_query", "total", "undecoded_transactions"]
    CSV_IMPORT_RESULT_FIELD_NUMBER: _ClassVar[int]
    HISTORICAL_BALANCE_PROCESSING_FIELD_NUMBER: _ClassVar[int]
    HISTORICAL_PRICE_QUERY_STATUS_FIELD_NUMBER: _ClassVar[int]
    LIQUITY_STAKING_QUERY_FIELD_NUMBER: _ClassVar[int]
    MULTIPLE_PRICES_QUERY_STATUS_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_CACHE_UPDATES_FIELD_NUMBER: _ClassVar[int]
    STATS_PRICE_QUERY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNDECODED_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    csv_import_result: CsvImportResult
    historical_balance_processing: HistoricalBalanceProcessing
    historical_price_query_status: HistoricalPriceQuery
    liquity_staking_query: LiquityStakingQuery
    multiple_prices_query_status: MultiplePricesQuery
    processed: int
    protocol_cache_updates: ProtocolCacheUpdates
    stats_price_query: StatsPriceQuery
    total: int
    undecoded_transactions: UndecodedTransactions
    def __init__(self, total: _Optional[int] = ..., processed: _Optional[int] = ..., undecoded_transactions: _Optional[_Union[UndecodedTransactions, _Mapping]] = ..., protocol_cache_updates: _Optional[_Union[ProtocolCacheUpdates, _Mapping]] = ..., csv_import_result: _Optional[_Union[CsvImportResult, _Mapping]] = ..., historical_price_query_status: _Optional[_Union[HistoricalPriceQuery, _Mapping]] = ..., multiple_prices_query_status: _Optional[_Union[MultiplePricesQuery, _Mapping]] = ..., stats_price_query: _Optional[_Union[StatsPriceQuery, _Mapping]] = ..., liquity_staking_query: _Optional[_Union[LiquityStakingQuery, _Mapping]] = ..., historical_balance_processing: _Optional[_Union[HistoricalBalanceProcessing, _Mapping]] = ...) -> None: ...

class ProtocolCacheUpdates(_message.Message):
    __slots__ = ["chain", "protocol"]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    chain: str
    protocol: str
    def __init__(self, protocol: _Optional[str] = ..., chain: _Optional[str] = ...) -> None: ...

class StatsPriceQuery(_message.Message):
    __slots__ = ["counterparty"]
    COUNTERPARTY_FIELD_NUMBER: _ClassVar[int]
    counterparty: StatsCounterparty
    def __init__(self, counterparty: _Optional[_Union[StatsCounterparty, str]] = ...) -> None: ...

class UndecodedTransactions(_message.Message):
    __slots__ = ["chain"]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    chain: str
    def __init__(self, chain: _Optional[str] = ...) -> None: ...

class StatsCounterparty(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
