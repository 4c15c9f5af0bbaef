"""Reads google.rpc.RetryInfo, for which Debian's Python has no generated code."""

from __future__ import annotations

from typing import Any, Iterator, Optional, Tuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

_KEY = "grpc-status-details-bin"
_TYPE = b"google.rpc.RetryInfo"
_LONGEST = 86400.0  # seconds


def retry_delay(error: Any) -> Optional[float]:
    """Returns for how many seconds the status of a call asks the client to stay away, None if it does not say."""
    for key, value in error.trailing_metadata() or ():
        if key == _KEY:
            return parse(value)
    return None


def parse(status: bytes) -> Optional[float]:
    """Reads a google.rpc.Status: its field 3 is repeated Any (1 is the type, 2 the value), and field 1 of RetryInfo a Duration."""
    try:
        for number, detail in _fields(status):
            if number != 3:
                continue
            content = dict(_fields(detail))
            if content.get(1, b"").rpartition(b"/")[2] != _TYPE:
                continue
            delay = Duration.FromString(dict(_fields(content.get(2, b""))).get(1, b""))
            return min(max(0.0, delay.seconds + delay.nanos / 1e9), _LONGEST)
    except (ValueError, DecodeError):
        pass
    return None


def _fields(message: bytes) -> Iterator[Tuple[int, bytes]]:
    """Yields the numbers and contents of a message's fields that are strings, bytes or messages."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(message, position)
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        elif kind == 2:
            length, position = _varint(message, position)
            yield tag >> 3, message[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {kind}")
    if position > len(message):
        raise ValueError("the message is cut off")


def _varint(message: bytes, position: int) -> Tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is cut off or too long")
