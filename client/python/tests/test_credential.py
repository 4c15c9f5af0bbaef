"""Tokens, TLS, recipients, and a bridge that asks the notifier to stay away."""

from __future__ import annotations

import logging
import unittest
from typing import Any, Iterator, List, Optional

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from rotki.notifications.v1.notification_service_pb2 import PublishRequest, PublishResponse
from rotki_bridge import ConversionError, Notifier, RefusedError
from rotki_bridge.retry_info import parse
from tests.bridges import LONG, QUICK, Calls, accept, accept_all, serving, warning

Requests = Iterator[PublishRequest]
Responses = Iterator[PublishResponse]


def setUpModule() -> None:
    logging.getLogger("rotki_bridge").setLevel(logging.CRITICAL)


def field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message, of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def status_with_retry(seconds: int, nanos: int = 0) -> bytes:
    """A google.rpc.Status."""
    retry = field(1, Duration(seconds=seconds, nanos=nanos).SerializeToString())
    other = AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\x0a\x01x").SerializeToString()
    detail = AnyMessage(type_url="type.googleapis.com/google.rpc.RetryInfo", value=retry).SerializeToString()
    return b"\x08\x08" + field(2, b"slower") + field(3, other) + field(3, detail)


def shown(context: Any) -> Optional[str]:
    return dict(tuple(pair) for pair in context.invocation_metadata()).get("authorization")


class TestRetryInfo(unittest.TestCase):
    def test_parse(self) -> None:
        good = status_with_retry(2, 500_000_000)
        self.assertEqual(parse(good), 2.5)
        for n in range(len(good)):  # cut off anywhere, or with a byte changed, it raises nothing
            parse(good[:n])
            for flip in (0x01, 0x80, 0xFF):
                parse(good[:n] + bytes([good[n] ^ flip]) + good[n + 1 :])
        for bad in (b"", b"\x08\x08", b"\xff" * 20, field(3, b""), field(3, b"\xff")):
            self.assertIsNone(parse(bad))

    def test_nothing_is_lost(self) -> None:
        """Each stream takes three. The backoff is an hour: it is the bridge's word that counts."""
        taken: List[str] = []

        def script(number: int, requests: Requests, context: Any) -> Responses:
            for _ in range(3 if number > 1 else 0):
                request = next(requests, None)
                if request is None:
                    return
                taken.append(request.notification.legacy.value)
                yield accept(request)
            context.set_trailing_metadata((("grpc-status-details-bin", status_with_retry(0, 1_000_000)),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slower")

        calls = Calls()
        with serving(script) as bridge, Notifier(bridge.address, backoff=(3600, 3600)) as notifier:
            for i in range(20):
                notifier.broadcast("legacy", warning(str(i)), calls(str(i)), calls("failed"))
            self.assertTrue(notifier.flush(LONG))
        self.assertEqual(taken, [str(i) for i in range(20)])
        self.assertEqual(calls.made, taken)


class TestToken(unittest.TestCase):
    def test_text(self) -> None:
        seen: List[Optional[str]] = []

        def script(_: int, requests: Requests, context: Any) -> Responses:
            seen.append(shown(context))
            yield from map(accept, requests)

        with serving(script) as bridge, Notifier(bridge.address, token="x\n") as notifier:
            notifier.broadcast("legacy", warning())
        self.assertEqual(seen, ["Bearer x"])

    def test_is_replaced(self) -> None:
        tokens = iter(["old", OSError("it is being written"), "old", "new"])
        seen: List[Optional[str]] = []

        def token() -> str:
            one = next(tokens)
            if isinstance(one, Exception):
                raise one
            return one

        def script(number: int, requests: Requests, context: Any) -> Responses:
            seen.append(shown(context))
            if number == 1:
                yield accept(next(requests))
            if seen[-1] != "Bearer new":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token has expired; get a new one")
            yield from map(accept, requests)

        with serving(script) as bridge, Notifier(bridge.address, token=token, backoff=QUICK) as notifier:
            notifier.broadcast("legacy", warning()).result(LONG)
            self.assertIsInstance(notifier.broadcast("legacy", warning()).result(LONG).error, RefusedError)
            self.assertTrue(notifier.broadcast("legacy", warning()).result(LONG).delivered)
        self.assertEqual(seen, ["Bearer old", "Bearer old", "Bearer new"])

    def test_is_refused_twice(self) -> None:
        def script(_: int, __: Requests, context: Any) -> Responses:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "the token does not allow this")
            yield PublishResponse()

        with serving(script) as bridge, Notifier(bridge.address, token=lambda: "t", backoff=QUICK) as notifier:
            error = notifier.broadcast("legacy", warning()).result(LONG).error
            self.assertIsInstance(error, RefusedError)
            self.assertEqual((error.code, error.details), ("PERMISSION_DENIED", "the token does not allow this"))
            self.assertEqual(bridge.streams, 2)

    def test_plain_text(self) -> None:
        for address in ("127.0.0.1:1", "localhost:1", "[::1]:1", "ipv4:127.0.0.1:1", "dns:///localhost:1", "unix:/run/bridge"):
            with self.subTest(address):
                Notifier(address, token="t").close()
        for address in ("192.0.2.1:1", "bridge.test:1", "dns:///bridge.test:1", "localhost.test:1", "[2001:db8::1]:1"):
            with self.subTest(address), self.assertRaisesRegex(ValueError, "unencrypted"):
                Notifier(address, token="t")

    def test_certificates(self) -> None:
        for settings in ({"private_key": b"x"}, {"root_certificates": b"x", "credentials": grpc.ssl_channel_credentials()}):
            with self.subTest(settings), self.assertRaises(ValueError):
                Notifier("bridge.test:1", **settings)


class TestRecipients(unittest.TestCase):
    def test_recipients(self) -> None:
        calls = Calls()
        with serving(accept_all) as bridge, Notifier(bridge.address) as notifier:
            notifier.broadcast("legacy", warning(), recipients=["ann", "bob"])
            notifier.broadcast("legacy", warning())
            for wrong, path in (([], "recipients"), ("ann", "recipients"), (["ann", ""], "recipients[1]"), ([7], "recipients[0]")):
                with self.subTest(wrong), self.assertRaises(ConversionError) as refused:
                    notifier.broadcast("legacy", warning(), None, calls("failed"), recipients=wrong)
                self.assertEqual(refused.exception.path, path)
            with self.assertRaises(ConversionError):
                notifier.broadcast("legacy", warning(), recipients=["\ud800"])
        self.assertEqual([list(request.recipients) for request in bridge.requests], [["ann", "bob"], []])
        self.assertEqual(calls.made, ["failed"] * 4)


if __name__ == "__main__":
    unittest.main()
