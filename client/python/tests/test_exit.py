"""A program is never kept from ending by a notifier that it did not close."""

from __future__ import annotations

import subprocess
import sys
import unittest

from tests.bridges import LONG, accept_all, never_answer, serving

PROGRAM = """
import logging
import sys
from rotki_bridge import Notifier
logging.disable(logging.CRITICAL)
notifier = Notifier(sys.argv[1])
for _ in range(3):
    notifier.broadcast("legacy", {"verbosity": "warning", "value": ""}, lambda: print("succeeded"), lambda: print("failed"))
"""

FORK = """
import os
notifier.flush()
if os.fork() == 0:
    notifier.broadcast("legacy", {"verbosity": "warning", "value": ""}, None, lambda: print("failed in the fork"))
    notifier.flush(), notifier.close()
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


def run(program: str, address: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, address], timeout=LONG, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


class TestExit(unittest.TestCase):
    def test_flushes(self) -> None:
        with serving(accept_all) as bridge:
            self.assertEqual(run(PROGRAM, bridge.address), "succeeded\n" * 3)

    def test_does_not_hang(self) -> None:
        with serving(never_answer) as bridge:
            for address in (bridge.address, "127.0.0.1:1"):
                with self.subTest(address):
                    self.assertEqual(run(PROGRAM, address), "failed\n" * 3)

    def test_does_not_work_in_a_fork(self) -> None:
        with serving(accept_all) as bridge:
            printed = run(PROGRAM + FORK, bridge.address)
        self.assertEqual(printed.count("failed in the fork\n"), 1)


if __name__ == "__main__":
    unittest.main()
