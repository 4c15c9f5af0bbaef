from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
REFRESH_BALANCES_CHAIN_ARBITRUM_ONE: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_AVAX: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_BASE: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_BCH: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_BINANCE_SC: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_BTC: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_DOT: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_ETH: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_ETH2: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_GNOSIS: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_HYPERLIQUID: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_KSM: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_MONAD: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_OPTIMISM: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_POLYGON_POS: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_SCROLL: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_SOLANA: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_UNSPECIFIED: RefreshBalancesChain
REFRESH_BALANCES_CHAIN_ZKSYNC_LITE: RefreshBalancesChain
REFRESH_BALANCES_TYPE_BLOCKCHAIN_BALANCES: RefreshBalancesType
REFRESH_BALANCES_TYPE_UNSPECIFIED: RefreshBalancesType

class EvmAddress(_message.Message):
    __slots__ = ["address", "evm_chain"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EVM_CHAIN_FIELD_NUMBER: _ClassVar[int]
    address: str
    evm_chain: str
    def __init__(self, evm_chain: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class EvmAddressMigration(_message.Message):
    __slots__ = ["addresses"]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedCompositeFieldContainer[EvmAddress]
    def __init__(self, addresses: _Optional[_Iterable[_Union[EvmAddress, _Mapping]]] = ...) -> None: ...

class EvmlikeAccount(_message.Message):
    __slots__ = ["address", "chain"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    address: str
    chain: str
    def __init__(self, chain: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class EvmlikeAccountsDetection(_message.Message):
    __slots__ = ["accounts"]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[EvmlikeAccount]
    def __init__(self, accounts: _Optional[_Iterable[_Union[EvmlikeAccount, _Mapping]]] = ...) -> None: ...

class RefreshBalances(_message.Message):
    __slots__ = ["blockchain", "type"]
    BLOCKCHAIN_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    blockchain: RefreshBalancesChain
    type: RefreshBalancesType
    def __init__(self, type: _Optional[_Union[RefreshBalancesType, str]] = ..., blockchain: _Optional[_Union[RefreshBalancesChain, str]] = ...) -> None: ...

class RefreshBalancesType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class RefreshBalancesChain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
