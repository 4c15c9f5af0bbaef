from rotki.notifications.v1 import wire_pb2 as _wire_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
