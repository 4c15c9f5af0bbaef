"""Publishes rotki's notifications to a rotki notification bridge.

A Notifier takes what rotki's own notifier takes, a message type and its data as the dicts and lists that would go
through json.dumps, and hands it to the bridge over gRPC in the background. See Notifier for what it guarantees.
"""

from .conversion import convert
from .errors import (
    BufferFullError,
    ClosedError,
    ConversionError,
    NotifierError,
    RefusedError,
    RejectedError,
)
from .notifier import DEFAULT_ADDRESS, Notifier
from .outcome import Outcome

__all__ = [
    "DEFAULT_ADDRESS",
    "BufferFullError",
    "ClosedError",
    "ConversionError",
    "Notifier",
    "NotifierError",
    "Outcome",
    "RefusedError",
    "RejectedError",
    "convert",
]
