"""What the Go test drives: broadcasts what it reads from standard input, and writes what becomes of it.

driver.py ADDRESS CAPACITY. Each line read is {"id": …, "type": …, "data": …}, or {"flush": true}. Each line written is
an object: "id" and what became of it, with "wire", what rotki would have sent; or "flushed", or "closed" in the end.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from rotki_bridge import ConversionError, Notifier, Outcome

_lock = threading.Lock()


def write(**event: Any) -> None:
    with _lock:
        print(json.dumps(event), flush=True)


def broadcast(notifier: Notifier, line: Any) -> None:
    called = []  # within one broadcast, whichever thread calls
    wire = json.dumps({"type": line["type"], "data": line["data"]})

    def tell(outcome: Outcome) -> None:
        write(
            id=line["id"],
            callbacks=called,
            wire=wire,
            error=type(outcome.error).__name__ if outcome.error else "",
            path=getattr(outcome.error, "path", ""),
            message=str(outcome.error or ""),
            position=outcome.position,
            subscribers=outcome.subscribers,
            duplicate=outcome.duplicate,
        )

    try:
        notifier.broadcast(
            line["type"], line["data"], lambda: called.append("success"), lambda: called.append("failure")
        ).add_done_callback(lambda future: tell(future.result()))
    except ConversionError as refused:
        tell(Outcome(refused))


def main() -> None:
    address, capacity = sys.argv[1:]
    with Notifier(address, capacity=int(capacity), backoff=(0.001, 0.02)) as notifier:
        for text in sys.stdin:
            line = json.loads(text)
            if line.get("flush"):
                write(flushed=notifier.flush(30))
            else:
                broadcast(notifier, line)
        closed = notifier.close(30)
    write(closed=closed)


if __name__ == "__main__":
    main()
