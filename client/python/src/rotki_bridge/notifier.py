"""The notifier: what rotki's backend calls."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import uuid
from concurrent.futures import Future, wait
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import grpc
from rotki.notifications.v1.notification_service_pb2 import PublishRequest

from .backoff import Backoff
from .conversion import convert
from .courier import Courier
from .credential import Token, channel_credentials
from .errors import BufferFullError, ClosedError, ConversionError
from .outbox import Outbox
from .outcome import Outcome
from .pending import Callback, Pending

_logger = logging.getLogger("rotki_bridge")

DEFAULT_ADDRESS = "127.0.0.1:5044"  # of a bridge on its default settings

_EXIT_TIMEOUT = 1.0  # how long an interpreter that exits waits for a notifier that nobody closed
_STOP_TIMEOUT = 1.0  # how long close waits for the thread after it has given up, for a callback may be slow

_ABSENT = object()


class Notifier:
    """Hands notifications to a bridge, in the background and over one stream.

    Whatever happens to the stream, each notification is sent until the bridge has answered it, under the same id and
    in the order of broadcasting. At most capacity notifications wait for their answers, in memory.

    A notification succeeds when the bridge accepted it and at least one subscriber was there to receive it. Everything
    else is a failure, as it is to rotki's own notifier, so that the message can be kept for polling. Each broadcast
    calls exactly one of its callbacks, once. They are called by the notifier's thread, one at a time, and must not
    block; a failure that is known at once is reported by broadcast itself, before it returns.

    It is safe for concurrent use. It belongs to the process that made it: make it after forking. Close it, or use it
    in a with statement. A program that ends without doing so gives it a second, and is not kept from ending.

    address: the bridge's gRPC address, host:port or another target that gRPC knows.
    capacity: how many notifications may be unanswered.
    success_callback, failure_callback: for those broadcasts that are given none of their own.
    token: says who the publisher is: a text, or what returns one, which is called for each stream, so that it may read
        a file again. Without TLS a token is sent to this machine only.
    root_certificates, private_key, certificate_chain: for TLS, in PEM: who may vouch for the bridge (the system's
        authorities by default), and a certificate to show to it, with its key.
    credentials: for TLS in place of those, from grpc.ssl_channel_credentials. Without either the connection is not
        encrypted, which is right on one machine only.
    metadata: is sent with the stream.
    options: of the gRPC channel; they win over those that this class sets.
    backoff: bounds in seconds for the pauses between attempts to reach the bridge; they double and are jittered.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        capacity: int = 1000,
        success_callback: Optional[Callback] = None,
        failure_callback: Optional[Callback] = None,
        token: Optional[Token] = None,
        root_certificates: Optional[bytes] = None,
        private_key: Optional[bytes] = None,
        certificate_chain: Optional[bytes] = None,
        credentials: Optional[grpc.ChannelCredentials] = None,
        metadata: Sequence[Tuple[str, str]] = (),
        options: Sequence[Tuple[str, Any]] = (),
        backoff: Tuple[float, float] = (0.1, 5.0),
    ) -> None:
        self._success_callback = success_callback
        self._failure_callback = failure_callback
        self._outbox = Outbox(capacity)
        pauses = Backoff(*backoff)
        credentials = channel_credentials(address, token, credentials, root_certificates, private_key, certificate_chain)
        options = list({**_channel_options(*backoff), **dict(options)}.items())
        if credentials is None:
            channel = grpc.insecure_channel(address, options)
        else:
            channel = grpc.secure_channel(address, credentials, options)
        self._courier = Courier(self._outbox, channel, address, pauses, metadata, token)
        self._gave_up = False
        self._full = False  # and the log says so
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._courier.run, name=f"rotki-bridge {address}", daemon=True)
        self._thread.start()
        atexit.register(self.close, _EXIT_TIMEOUT)

    def broadcast(
        self,
        message_type: object,
        data: object = _ABSENT,
        success_callback: Optional[Callable[..., object]] = None,
        failure_callback: Optional[Callable[..., object]] = None,
        *,
        to_send_data: object = _ABSENT,
        recipients: Optional[Sequence[str]] = None,
        success_callback_args: Optional[Mapping[str, Any]] = None,
        failure_callback_args: Optional[Mapping[str, Any]] = None,
    ) -> Future[Outcome]:
        """Hands over one notification, and returns without waiting for the bridge.

        message_type is rotki's name for it, or an enum member whose str() or value is that name. data is what rotki
        would put through json.dumps, and may be changed afterwards; to_send_data is rotki's own name for it. The
        callbacks are called without arguments, or with those keyword arguments that their …_args name. recipients are
        the only users that may see it, by the "sub" of their tokens; every subscriber does without.

        Raises ConversionError, after the failure callback, when the two do not fit the contract: that is a mistake of
        the caller's, and nothing was sent. A full buffer and a closed notifier raise nothing, only fail.

        The future's result is an Outcome, for whoever wants to know more than the callbacks say. It is complete when
        the callback has returned, never raises, and cannot be cancelled.
        """
        if (data is _ABSENT) == (to_send_data is _ABSENT):
            raise TypeError("broadcast takes either data or to_send_data")
        success = _bind(success_callback, success_callback_args) or self._success_callback
        failure = _bind(failure_callback, failure_callback_args) or self._failure_callback
        pending = Pending(str(uuid.uuid4()), str(message_type), b"", success, failure)
        try:
            notification = convert(message_type, to_send_data if data is _ABSENT else data)
            pending.frame = PublishRequest(
                id=pending.id, notification=notification, recipients=_checked(recipients)
            ).SerializeToString()
            if os.getpid() != self._pid:
                raise ClosedError("the notifier belongs to the process that made it, and this is a fork of that")
            self._outbox.put(pending)
            self._full = False
        except (ConversionError, BufferFullError, ClosedError) as error:
            if isinstance(error, BufferFullError) and not self._full:
                self._full = True
                _logger.warning("notifications fail from now on, until there is room again: %s", error)
            pending.settle(Outcome(error))
            if isinstance(error, ConversionError):
                raise
        return pending.future

    def flush(self, timeout: Optional[float] = None) -> bool:
        """Waits until the callbacks of all that was broadcast so far have returned.

        Returns False when that took longer than timeout seconds. Callbacks must not call it.
        """
        if os.getpid() != self._pid:
            return True
        if threading.current_thread() is self._thread:
            raise RuntimeError("flush was called by a callback, for whose return it would wait")
        return not wait(self._outbox.unsettled(), timeout).not_done

    def close(self, timeout: Optional[float] = 10.0) -> bool:
        """Waits until the bridge has answered all that was broadcast, then ends the stream.

        After timeout seconds it gives up what is left, which fails with a ClosedError, and returns False. Whatever is
        broadcast from the moment at which it is called fails. It may be called more than once; by a callback too, but
        then it does not wait.
        """
        if os.getpid() != self._pid:
            return True
        self._outbox.close()
        if threading.current_thread() is self._thread:
            return False
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._gave_up = True
            self._courier.stop()
            self._thread.join(_STOP_TIMEOUT)
        atexit.unregister(self.close)
        return not self._gave_up

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _checked(recipients: Optional[Sequence[str]]) -> Sequence[str]:
    """Returns the recipients as they are sent. Nobody in particular must not become everybody by mistake."""
    if recipients is None:
        return ()
    if isinstance(recipients, (str, bytes)):
        raise ConversionError("recipients", "must be a list of user ids, not one text")
    recipients = list(recipients)
    if not recipients:
        raise ConversionError("recipients", "is empty; leave it out to reach every subscriber")
    for i, recipient in enumerate(recipients):
        if not isinstance(recipient, str) or not recipient:
            raise ConversionError(f"recipients[{i}]", "must be a user id")
        try:
            recipient.encode()
        except UnicodeEncodeError:
            raise ConversionError(f"recipients[{i}]", "is not valid Unicode") from None
    return recipients


def _bind(callback: Optional[Callable[..., object]], arguments: Optional[Mapping[str, Any]]) -> Optional[Callback]:
    if callback is None or not arguments:
        return callback
    return functools.partial(callback, **arguments)


def _channel_options(shortest: float, longest: float) -> Dict[str, Any]:
    return {
        "grpc.initial_reconnect_backoff_ms": max(1, round(shortest * 1000)),
        "grpc.max_reconnect_backoff_ms": max(1, round(longest * 1000)),
        "grpc.min_reconnect_backoff_ms": 5000,  # in fact how long an attempt to connect may take
        "grpc.keepalive_time_ms": 30000,
        "grpc.http2.max_pings_without_data": 0,  # keep asking, however quiet it is
    }
