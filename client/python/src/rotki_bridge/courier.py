"""Carries what is in the outbox to the bridge, over one Publish stream after the other."""

from __future__ import annotations

import logging
import random
import threading
from typing import Any, Iterator, Optional, Sequence, Tuple

import grpc
from rotki.notifications.v1 import notification_service_pb2

from .backoff import Backoff
from .credential import Token, take
from .errors import ClosedError, RefusedError, RejectedError
from .outbox import Outbox, ProtocolError
from .outcome import Outcome
from .pending import Pending
from .retry_info import retry_delay

_logger = logging.getLogger("rotki_bridge")

_SERVICE = notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"]
_PUBLISH = f"/{_SERVICE.full_name}/Publish"

_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class Courier:
    """Sends from one thread, in run, until the outbox is closed and empty or stop is called."""

    def __init__(
        self,
        outbox: Outbox,
        channel: Any,
        name: str,
        backoff: Backoff,
        metadata: Sequence[Tuple[str, str]],
        token: Optional[Token] = None,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._name = name
        self._backoff = backoff
        self._metadata = tuple(metadata)
        self._token = token
        self._shown = ""  # to the bridge, on the current stream
        self._refused = ""  # the last token that was, unless the bridge has answered something since
        self._publish = channel.stream_stream(
            _PUBLISH,
            request_serializer=bytes,  # a request is encoded once, however often it is sent
            response_deserializer=notification_service_pb2.PublishResponse.FromString,
        )
        self._outage = False
        self._lock = threading.Lock()
        self._stopped = False
        self._call: Optional[Any] = None

    def run(self) -> None:
        """Works until there is nothing left to do. Whatever happens, all there was is settled when it returns."""
        try:
            while self._outbox.wait():
                self._carry()
        except Exception:
            _logger.exception("the notifier for %s failed", self._name)
        finally:
            self._outbox.close()
            left = self._outbox.take_all()
            if left:
                _logger.warning("closed while %d notifications for %s were not answered", len(left), self._name)
            for pending in left:
                pending.settle(Outcome(ClosedError("the notifier was closed before the bridge answered")))
            self._channel.close()

    def stop(self) -> None:
        """Makes run return soon, and fail what the bridge has not answered."""
        self._outbox.abandon()
        with self._lock:
            self._stopped = True
            if self._call is not None:
                self._call.cancel()

    def _carry(self) -> None:
        """Lives through one stream and what has to be done after it."""
        answered, error = self._stream()
        code = error.code() if isinstance(error, grpc.RpcError) else None
        details = error.details() if isinstance(error, grpc.RpcError) else str(error)
        if answered:
            self._backoff.reset()
            self._refused = ""
        delay = retry_delay(error) if code == grpc.StatusCode.RESOURCE_EXHAUSTED else None
        if delay is not None:
            delay *= random.uniform(1, 1.1)  # many clients may have been told the same
            if answered:
                self._outbox.pause(delay)
                return
        elif code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            largest = self._outbox.take_largest()
            if largest is not None:
                problem = f"the request has {len(largest.frame)} bytes, which is more than gRPC takes: {details}"
                self._settle(largest, Outcome(RejectedError("REASON_TOO_LARGE", "", problem)))
                if not answered:  # in case it is about something else: each attempt costs a notification
                    self._outbox.pause(self._backoff.take())
                return
        if self._is_final(code):
            taken = self._outbox.take_all()
            _logger.error("the bridge at %s lets this client publish nothing: %s: %s", self._name, code.name, details)
            for pending in taken:
                pending.settle(Outcome(RefusedError(code.name, details)))
            return
        if code in _REFUSED:
            self._refused = self._shown
        unanswered = len(self._outbox)
        if unanswered == 0 or self._stopped:
            return
        if not self._outage:
            self._outage = True
            _logger.warning(
                "the bridge at %s cannot be reached, retrying; %d notifications wait: %s", self._name, unanswered, details
            )
        self._outbox.pause(delay or self._backoff.take())  # "at once" is for the backoff, too

    def _is_final(self, code: Optional[grpc.StatusCode]) -> bool:
        """Says whether another attempt would end the same way. A token that has expired may have been replaced."""
        if code in _REFUSED:
            return self._shown == self._refused
        return code == grpc.StatusCode.UNIMPLEMENTED

    def _stream(self) -> Tuple[bool, Optional[Exception]]:
        """Sends and receives on one stream until it ends. Returns whether anything was answered, and why it ended."""
        answered = False
        try:
            self._shown = take(self._token)
        except Exception as error:
            return False, error
        metadata = self._metadata
        if self._shown:
            metadata += (("authorization", f"Bearer {self._shown}"),)
        stream = self._outbox.begin()
        call = None
        try:
            with self._lock:
                if self._stopped:
                    return False, None
                # In an outage the call itself waits for the connection, which gRPC then makes without delay: while no
                # call waits, it looks only every five seconds how its attempts to connect are getting on.
                call = self._call = self._publish(
                    self._requests(stream), metadata=metadata, wait_for_ready=self._outage
                )
            for response in call:
                pending, outcome = self._outbox.answer(response)
                if not answered:
                    answered = True
                    self._outage = False
                    _logger.info("publishing to the bridge at %s", self._name)
                self._settle(pending, outcome)
            return answered, ProtocolError("the bridge ended the stream")
        except (grpc.RpcError, ProtocolError) as error:
            return answered, error
        finally:
            self._outbox.end()  # first, so that gRPC's thread finds it ended
            with self._lock:
                self._call = None
            if call is not None:
                call.cancel()

    def _settle(self, pending: Pending, outcome: Outcome) -> None:
        if outcome.error is not None:
            _logger.warning("a %s notification was rejected: %s", pending.message_type, outcome.error)
        pending.settle(outcome)

    def _requests(self, stream: int) -> Iterator[bytes]:
        """Is read by a thread of gRPC's."""
        while True:
            frame = self._outbox.next(stream)
            if frame is None:
                return
            yield frame
