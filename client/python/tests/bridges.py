"""Servers that do with a Publish stream what a real bridge should not, and what the tests share."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List

import grpc
from rotki.notifications.v1.notification_service_pb2 import Accepted, PublishRequest, PublishResponse
from rotki.notifications.v1.notification_service_pb2_grpc import (
    NotificationServiceServicer,
    add_NotificationServiceServicer_to_server,
)

LONG = 30.0  # seconds, which only a failing test needs
QUICK = (0.001, 0.02)  # a backoff

Script = Callable[[int, Iterator[PublishRequest], Any], Iterator[PublishResponse]]


class Scripted(NotificationServiceServicer):
    """Runs a script for each stream, counted from 1."""

    def __init__(self, script: Script) -> None:
        self.streams = 0
        self.requests: List[PublishRequest] = []  # as far as the scripts read them
        self.address = ""
        self._script = script
        self._lock = threading.Lock()

    def Publish(self, request_iterator: Iterator[PublishRequest], context: Any) -> Iterator[PublishResponse]:
        with self._lock:
            self.streams += 1
            number = self.streams
        return self._script(number, self._read(request_iterator), context)

    def _read(self, requests: Iterator[PublishRequest]) -> Iterator[PublishRequest]:
        for request in requests:
            with self._lock:
                self.requests.append(request)
            yield request


@contextmanager
def serving(script: Script) -> Iterator[Scripted]:
    """Runs a scripted server."""
    scripted = Scripted(script)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    add_NotificationServiceServicer_to_server(scripted, server)
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        server.stop(0).wait()


def accept(request: PublishRequest, subscribers: int = 1) -> PublishResponse:
    return PublishResponse(id=request.id, accepted=Accepted(position=f"at {request.id}", subscribers=subscribers))


def accept_all(_: int, requests: Iterator[PublishRequest], __: Any) -> Iterator[PublishResponse]:
    for request in requests:
        yield accept(request)


def never_answer(_: int, requests: Iterator[PublishRequest], context: Any) -> Iterator[PublishResponse]:
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait()
    return iter(())


class Calls:
    """Callbacks that note the order in which they were called."""

    def __init__(self) -> None:
        self.made: List[str] = []

    def __call__(self, name: str) -> Callable[[], None]:
        return lambda: self.made.append(name)


def warning(text: str = "") -> dict:
    """The data of a legacy notification."""
    return {"verbosity": "warning", "value": text}
