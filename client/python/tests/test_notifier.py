"""The notifier against servers that misbehave."""

from __future__ import annotations

import logging
import threading
import unittest
from concurrent.futures import wait
from typing import Any, Callable, Iterator, List

import grpc
from rotki.notifications.v1.notification_service_pb2 import PublishRequest, PublishResponse, Rejected
from rotki_bridge import BufferFullError, ClosedError, ConversionError, Notifier, RefusedError, RejectedError
from tests.bridges import LONG, QUICK, Calls, accept, accept_all, never_answer, serving, warning

NOBODY = "127.0.0.1:1"  # an address at which there is no bridge

Requests = Iterator[PublishRequest]
Responses = Iterator[PublishResponse]


def setUpModule() -> None:
    logging.getLogger("rotki_bridge").setLevel(logging.CRITICAL)


class TestCallbacks(unittest.TestCase):
    def test_success_and_failure(self) -> None:
        def script(_: int, requests: Requests, __: Any) -> Responses:
            for request in requests:
                text = request.notification.legacy.value
                if text == "rejected":
                    yield PublishResponse(id=request.id, rejected=Rejected(reason=4, message="is bad", field="legacy.value"))
                else:
                    yield accept(request, subscribers=int(text))

        calls = Calls()
        with serving(script) as bridge, Notifier(bridge.address) as notifier:
            texts = ["2", "0", "rejected", "1"]
            futures = [
                notifier.broadcast("legacy", warning(text), calls(f"{text} succeeded"), calls(f"{text} failed")) for text in texts
            ]
            self.assertTrue(notifier.flush(LONG))
            self.assertEqual(calls.made, ["2 succeeded", "0 failed", "rejected failed", "1 succeeded"])
        two, none, rejected, _ = (future.result(0) for future in futures)
        self.assertTrue(two.delivered)
        self.assertEqual((two.error, two.subscribers, two.duplicate), (None, 2, False))
        self.assertEqual(two.position, f"at {bridge.requests[0].id}")
        self.assertEqual((none.delivered, none.error, none.subscribers), (False, None, 0))
        self.assertIsInstance(rejected.error, RejectedError)
        self.assertEqual(
            (rejected.error.reason, rejected.error.path, rejected.error.problem),
            ("REASON_INVALID_FIELD", "legacy.value", "is bad"),
        )

    def test_as_rotki_calls_it(self) -> None:
        """All by keyword, with the names of rotki's own notifier."""
        kept: List[str] = []
        with serving(lambda *script: (accept(request, 0) for request in script[1])) as bridge:
            with Notifier(bridge.address) as notifier:
                notifier.broadcast(
                    message_type="legacy",
                    to_send_data=warning("a"),
                    failure_callback=lambda msg: kept.append(msg),
                    failure_callback_args={"msg": "a"},
                )
        self.assertEqual(kept, ["a"])

    def test_defaults(self) -> None:
        calls = Calls()
        with serving(accept_all) as bridge:
            with Notifier(bridge.address, success_callback=calls("default"), failure_callback=calls("failed")) as notifier:
                notifier.broadcast("legacy", warning())
                notifier.broadcast("legacy", warning(), calls("own"))
            notifier.broadcast("legacy", warning())
        self.assertEqual(calls.made, ["default", "own", "failed"])

    def test_callbacks_may_fail_and_broadcast_and_close(self) -> None:
        calls = Calls()
        with serving(accept_all) as bridge, Notifier(bridge.address) as notifier:

            def fail() -> None:
                raise SystemExit("from a callback")

            def again() -> None:
                notifier.broadcast("legacy", warning("again"), calls("again"))
                with self.assertRaises(RuntimeError):
                    notifier.flush()
                notifier.close()
                calls.made.append("closed")

            notifier.broadcast("legacy", warning("a"), fail)
            notifier.broadcast("legacy", warning("b"), again)
            self.assertTrue(notifier.flush(LONG))
        self.assertEqual(calls.made, ["closed", "again"])

    def test_conversion(self) -> None:
        calls = Calls()
        with serving(accept_all) as bridge, Notifier(bridge.address) as notifier:
            with self.assertRaises(ConversionError) as refused:
                notifier.broadcast("login_status", {"start_db_version": 26}, calls("succeeded"), calls("failed"))
            self.assertEqual(refused.exception.path, "login_status.target_db_version")
            self.assertEqual(calls.made, ["failed"])
            for arguments in ({}, {"data": warning(), "to_send_data": warning()}):
                with self.assertRaises(TypeError):
                    notifier.broadcast("legacy", **arguments)
            data = warning("before")
            notifier.broadcast("legacy", data, calls("succeeded"))
            data["value"] = "after"
        self.assertEqual([request.notification.legacy.value for request in bridge.requests], ["before"])
        self.assertEqual(calls.made, ["failed", "succeeded"])


class TestBuffer(unittest.TestCase):
    def test_full(self) -> None:
        calls = Calls()
        release = threading.Event()

        def script(_: int, requests: Requests, __: Any) -> Responses:
            release.wait()
            yield from map(accept, requests)

        with serving(script) as bridge, Notifier(bridge.address, capacity=2) as notifier:
            for name in "abcd":
                future = notifier.broadcast("legacy", warning(name), calls(f"{name} succeeded"), calls(f"{name} failed"))
            self.assertIsInstance(future.result(0).error, BufferFullError)
            self.assertEqual(calls.made, ["c failed", "d failed"])
            self.assertFalse(notifier.flush(0.01))
            release.set()
            self.assertTrue(notifier.flush(LONG))
            notifier.broadcast("legacy", warning("e"), calls("e succeeded"))
        self.assertEqual(calls.made, ["c failed", "d failed", "a succeeded", "b succeeded", "e succeeded"])

    def test_bad_settings(self) -> None:
        for settings in ({"capacity": 0}, {"backoff": (0, 1)}, {"backoff": (2, 1)}):
            with self.subTest(settings), self.assertRaises(ValueError):
                Notifier(NOBODY, **settings)


class TestClose(unittest.TestCase):
    def test_gives_up(self) -> None:
        with serving(never_answer) as bridge:
            for address in (bridge.address, NOBODY):
                with self.subTest(address):
                    calls = Calls()
                    notifier = Notifier(address, backoff=QUICK)
                    futures = [notifier.broadcast("legacy", warning(), calls("succeeded"), calls("failed")) for _ in range(3)]
                    self.assertFalse(notifier.close(0.05))
                    self.assertEqual(calls.made, ["failed"] * 3)
                    for future in futures:
                        self.assertIsInstance(future.result(0).error, ClosedError)
                    late = notifier.broadcast("legacy", warning(), calls("succeeded"), calls("late failed"))
                    self.assertIsInstance(late.result(0).error, ClosedError)
                    self.assertFalse(notifier.close())
                    self.assertEqual(calls.made[3:], ["late failed"])

    def test_without_anything_to_say(self) -> None:
        self.assertTrue(Notifier(NOBODY).close(LONG))

    def test_ends_the_stream(self) -> None:
        ended = threading.Event()

        def script(_: int, requests: Requests, context: Any) -> Responses:
            yield from map(accept, requests)
            if context.is_active():
                ended.set()

        with serving(script) as bridge:
            with Notifier(bridge.address) as notifier:
                notifier.broadcast("legacy", warning())
            self.assertTrue(ended.is_set())


class TestStreams(unittest.TestCase):
    """Whatever is wrong with a stream, the next one gets what was not answered, in order, under the same ids."""

    TOTAL = 5

    def take(self, requests: Requests) -> List[PublishRequest]:
        return [next(requests) for _ in range(self.TOTAL)]

    def test_broken(self) -> None:
        def ends(requests: Requests, _: Any) -> Responses:
            yield from map(accept, self.take(requests)[:2])

        def drains(requests: Requests, context: Any) -> Responses:
            yield from map(accept, self.take(requests)[:2])
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining")

        def fails(_: Requests, context: Any) -> Responses:
            context.abort(grpc.StatusCode.INTERNAL, "panic")
            yield PublishResponse()

        def answers_another(requests: Requests, _: Any) -> Responses:
            yield from map(accept, self.take(requests)[:2])
            yield accept(PublishRequest(id="nobody's"))
            yield from map(accept, requests)

        def answers_too_much(requests: Requests, _: Any) -> Responses:
            taken = self.take(requests)
            for request in [*taken, taken[-1]]:
                yield accept(request)
            yield from map(accept, requests)

        def says_nothing(requests: Requests, _: Any) -> Responses:
            yield PublishResponse(id=next(requests).id)
            yield from map(accept, requests)

        for first, answered in ((ends, 2), (drains, 2), (fails, 0), (answers_another, 2), (answers_too_much, 5), (says_nothing, 0)):
            with self.subTest(first.__name__):
                resent: List[str] = []
                self.run_with(first, resent)
                sent = self.ids
                self.assertEqual(resent[: self.TOTAL - answered], sent[answered:])

    def run_with(self, first: Callable[[Requests, Any], Responses], resent: List[str]) -> None:
        def script(number: int, requests: Requests, context: Any) -> Responses:
            if number == 1:
                yield from first(requests, context)
                return
            for request in requests:
                resent.append(request.id)
                yield accept(request)

        calls = Calls()
        with serving(script) as bridge, Notifier(bridge.address, backoff=QUICK) as notifier:
            futures = [notifier.broadcast("legacy", warning(str(i)), calls(str(i)), calls("failed")) for i in range(self.TOTAL)]
            wait(futures, LONG)
            # The callbacks were called once, in order, and each has the answer to its own request.
            self.assertEqual(calls.made, [str(i) for i in range(self.TOTAL)])
            self.ids = [future.result(0).position[len("at ") :] for future in futures]
            self.assertEqual(len(set(self.ids)), self.TOTAL)

    def test_refused(self) -> None:
        for code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED):
            with self.subTest(code.name):

                def script(number: int, requests: Requests, context: Any) -> Responses:
                    if number == 1:
                        for _ in range(3):
                            next(requests)
                        context.abort(code, "not you")
                    yield from map(accept, requests)

                calls = Calls()
                with serving(script) as bridge, Notifier(bridge.address, backoff=QUICK) as notifier:
                    futures = [notifier.broadcast("legacy", warning(), None, calls("failed")) for _ in range(3)]
                    for future in futures:
                        error = future.result(LONG).error
                        self.assertIsInstance(error, RefusedError)
                        self.assertEqual((error.code, error.details), (code.name, "not you"))
                    self.assertEqual((calls.made, bridge.streams), (["failed"] * 3, 1))
                    self.assertTrue(notifier.broadcast("legacy", warning("later")).result(LONG).delivered)

    def test_too_large(self) -> None:
        """Which request was too large is not said. Only that one fails, and all others are sent again."""
        limit, total = 50_000, 20

        def script(number: int, requests: Requests, context: Any) -> Responses:
            for request in requests:
                if len(request.notification.legacy.value) > limit:
                    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")
                if number % 2 == 0:  # else its answer gets lost
                    yield accept(request)

        too_large = {3: limit + 1, 7: limit + 3, 8: limit + 2}
        with serving(script) as bridge, Notifier(bridge.address, backoff=QUICK) as notifier:
            futures = [notifier.broadcast("legacy", warning("x" * too_large.get(i, i))) for i in range(total)]
            for i, future in enumerate(futures):
                outcome = future.result(LONG)
                self.assertEqual(outcome.delivered, i not in too_large, f"notification {i}: {outcome}")
                if i in too_large:
                    self.assertEqual(outcome.error.reason, "REASON_TOO_LARGE")
            self.assertEqual(bridge.streams, len(too_large) + 1)

    def test_too_large_for_this_side(self) -> None:
        options = [("grpc.max_send_message_length", 1000)]
        with serving(accept_all) as bridge, Notifier(bridge.address, backoff=QUICK, options=options) as notifier:
            large = notifier.broadcast("legacy", warning("x" * 1000))
            small = notifier.broadcast("legacy", warning("x"))
            self.assertIsInstance(large.result(LONG).error, RejectedError)
            self.assertTrue(small.result(LONG).delivered)

    def test_no_spinning(self) -> None:
        """After a failure the notifier waits for its backoff, however much there is to send."""
        told = threading.Event()

        def script(_: int, __: Requests, context: Any) -> Responses:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            yield PublishResponse()

        class Told(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                told.set()

        logger, handler = logging.getLogger("rotki_bridge"), Told()
        logger.setLevel(logging.WARNING)
        logger.addHandler(handler)
        try:
            with serving(script) as bridge:
                notifier = Notifier(bridge.address, backoff=(3600, 3600))
                notifier.broadcast("legacy", warning())
                self.assertTrue(told.wait(LONG))
                for _ in range(100):
                    notifier.broadcast("legacy", warning())
                self.assertEqual(bridge.streams, 1)
                self.assertFalse(notifier.close(0.05))
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.CRITICAL)

    def test_metadata(self) -> None:
        seen: List[Any] = []

        def script(_: int, requests: Requests, context: Any) -> Responses:
            seen.extend(context.invocation_metadata())
            yield from map(accept, requests)

        with serving(script) as bridge, Notifier(bridge.address, metadata=[("authorization", "Bearer x")]) as notifier:
            notifier.broadcast("legacy", warning())
        self.assertIn(("authorization", "Bearer x"), [tuple(pair) for pair in seen])


if __name__ == "__main__":
    unittest.main()
