"""The conversion of all golden vectors, and what it refuses, by path."""

from __future__ import annotations

import collections
import copy
import enum
import json
import pathlib
import unittest
from decimal import Decimal
from typing import Any, Dict

from rotki.notifications.v1.notification_pb2 import Notification
from rotki_bridge import ConversionError, convert
from rotki_bridge.contract import contract

VECTORS = pathlib.Path(__file__).parents[3] / "bridge" / "envelope" / "testdata" / "vectors"


def vectors() -> Dict[str, Any]:
    return {path.stem: json.loads(path.read_text())["envelope"] for path in sorted(VECTORS.glob("*.json"))}


class TypeWithStr(enum.Enum):
    """rotki's WSMessageType."""

    LEGACY = enum.auto()

    def __str__(self) -> str:
        return self.name.lower()


class TypeWithValue(enum.Enum):
    LEGACY = "legacy"


class TypeIsStr(str, enum.Enum):
    LEGACY = "legacy"


LEGACY = {"verbosity": "warning", "value": "A warning"}
UPGRADE = {"from_db_version": 30, "total_steps": 8, "current_step": 5}
LOGIN = {"start_db_version": 26, "target_db_version": 35, "current_upgrade": UPGRADE}
EVM = {"chain": "ETH", "subtype": "evm", "address": "0x1", "period": [1, 2], "status": "querying_transactions"}
CSV = {"subtype": "csv_import_result", "total": 2, "processed": 1, "source_name": "x", "messages": [{"msg": "m", "rows": [1]}]}
PREMIUM = {"is_premium_active": False, "expired": True}
BUCKET = {"asset": "ETH", "protocol": None, "location": "kraken", "location_label": None}
NEGATIVE = {
    "event_identifier": 1,
    "group_identifier": "0x1",
    "asset": "ETH",
    "bucket": BUCKET,
    "balance_before": "1.5",
    "last_run_ts": None,
}
TOKEN = {"token_identifier": "x", "token_kind": "evm"}


def but(data: Dict[str, Any], **changes: Any) -> Dict[str, Any]:
    """A copy with some values changed; Ellipsis takes a key out."""
    changed = {**copy.deepcopy(data), **changes}
    return {key: value for key, value in changed.items() if value is not ...}


class FVal:
    """Like rotki's: a number that json.dumps does not take."""


class TestVectors(unittest.TestCase):
    def test_every_vector_converts(self) -> None:
        types = set()
        for name, envelope in vectors().items():
            with self.subTest(name):
                before = copy.deepcopy(envelope)
                notification = convert(envelope["type"], envelope["data"])
                self.assertEqual(notification.WhichOneof("payload"), envelope["type"])
                self.assertEqual(envelope, before, "the data was changed")
                self.assertEqual(Notification.FromString(notification.SerializeToString()), notification)
                types.add(envelope["type"])
        self.assertEqual(types, set(contract().types), "types without a vector")

    def test_every_key_counts(self) -> None:
        """A vector without one of its keys is refused by that path, or converts to something else."""
        for name, envelope in vectors().items():
            whole = convert(envelope["type"], envelope["data"])
            for path, data in without_one_key(envelope["data"], envelope["type"]):
                with self.subTest(name, path=path):
                    try:
                        self.assertNotEqual(convert(envelope["type"], data), whole)
                    except ConversionError as refused:
                        self.assertEqual(refused.path, path)

    def test_every_value_counts(self) -> None:
        """A vector with a value of a kind that no field takes is refused by that path."""
        for name, envelope in vectors().items():
            for path, data in with_one_value(envelope["data"], envelope["type"], FVal()):
                with self.subTest(name, path=path), self.assertRaises(ConversionError) as refused:
                    convert(envelope["type"], data)
                self.assertEqual(refused.exception.path, path)

    def test_tuples_are_lists(self) -> None:
        for name, envelope in vectors().items():
            with self.subTest(name):
                self.assertEqual(
                    convert(envelope["type"], tuples(envelope["data"])), convert(envelope["type"], envelope["data"])
                )

    def test_text_is_json(self) -> None:
        for name, envelope in vectors().items():
            with self.subTest(name):
                self.assertEqual(
                    convert(envelope["type"], json.dumps(envelope["data"])), convert(envelope["type"], envelope["data"])
                )


def without_one_key(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        for key in value:
            yield f"{path}.{key}", {k: v for k, v in value.items() if k != key}
    for key, where in places(value, path):
        for changed_path, changed in without_one_key(value[key], where):
            yield changed_path, replaced(value, key, changed)


def with_one_value(value: Any, path: str, other: Any) -> Any:
    yield path, other
    for key, where in places(value, path):
        for changed_path, changed in with_one_value(value[key], where, other):
            yield changed_path, replaced(value, key, changed)


def places(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return [(key, f"{path}.{key}") for key in value]
    if isinstance(value, list):
        return [(index, f"{path}[{index}]") for index in range(len(value))]
    return []


def replaced(value: Any, key: Any, by: Any) -> Any:
    changed = copy.copy(value)
    changed[key] = by
    return changed


def tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tuples(member) for key, member in value.items()}
    return tuple(map(tuples, value)) if isinstance(value, list) else value


class TestTaken(unittest.TestCase):
    def test_message_types(self) -> None:
        want = convert("legacy", LEGACY)
        for message_type in (TypeWithStr.LEGACY, TypeWithValue.LEGACY, TypeIsStr.LEGACY):
            with self.subTest(repr(message_type)):
                self.assertEqual(convert(message_type, LEGACY), want)

    def test_what_json_dumps_takes(self) -> None:
        class Text(str):
            pass

        class Number(enum.IntEnum):
            TWO = 2

        class Verbosity(str, enum.Enum):
            WARNING = "warning"

        pair = collections.namedtuple("pair", ["start", "end"])
        for message_type, data, same_as in (
            ("legacy", collections.OrderedDict(LEGACY), LEGACY),
            ("legacy", but(LEGACY, value=Text("A warning")), LEGACY),
            ("legacy", but(LEGACY, verbosity=Verbosity.WARNING), LEGACY),
            ("transaction_status", but(EVM, period=pair(1, 2)), EVM),
            ("transaction_status", but(EVM, period=(1, Number.TWO)), EVM),
            ("transaction_status", but(EVM, period=[1.0, 2.0]), EVM),
            ("transaction_status", but(EVM, subtype=Text("evm")), EVM),
        ):
            with self.subTest(message_type, data=data):
                self.assertEqual(json.loads(json.dumps(data)), same_as)
                self.assertEqual(convert(message_type, data), convert(message_type, same_as))

    def test_presence(self) -> None:
        message = convert("premium_status_update", PREMIUM).premium_status_update
        self.assertFalse(message.HasField("reason"))
        self.assertTrue(convert("premium_status_update", but(PREMIUM, reason="")).premium_status_update.HasField("reason"))
        message = convert("negative_balance_detected", NEGATIVE).negative_balance_detected
        self.assertFalse(message.HasField("last_run_ts") or message.bucket.HasField("protocol"))
        message = convert("new_token_detected", TOKEN).new_token_detected
        self.assertFalse(message.HasField("seen_description"))
        message = convert("new_token_detected", but(TOKEN, seen_description=None)).new_token_detected
        self.assertTrue(message.HasField("seen_description") and not message.seen_description.HasField("text"))


class TestRefused(unittest.TestCase):
    def test_table(self) -> None:
        for path, message_type, data, problem in (
            # the type
            ("type", "nonsense", {}, '"nonsense" is no notification type'),
            ("type", "Legacy", LEGACY, "no notification type"),
            ("type", "", LEGACY, "no notification type"),
            ("type", None, LEGACY, "is null"),
            ("type", 1, LEGACY, "is a number"),
            ("type", b"legacy", LEGACY, "is a Python bytes"),
            ("type", "payload", LEGACY, "no notification type"),
            # the kind of data
            ("legacy", "legacy", None, "must be an object, is null"),
            ("legacy", "legacy", [], "must be an object, is an array"),
            ("legacy", "legacy", 1, "must be an object, is a number"),
            ("legacy", "legacy", {"verbosity"}, "is a Python set"),
            ("evm_address_migration", "evm_address_migration", {}, "must be an array, is an object"),
            ("evm_address_migration", "evm_address_migration", {"addresses": []}, "must be an array"),
            ("new_evm_token_detected", "new_evm_token_detected", {"token_identifier": "x"}, "must be an array"),
            ("evmlike_accounts_detection", "evmlike_accounts_detection", None, "is null"),
            ("evmlike_accounts_detection", "evmlike_accounts_detection", (a for a in ()), "is a Python generator"),
            # text that should be JSON
            ("legacy", "legacy", "A warning", "not valid JSON"),
            ("legacy", "legacy", "", "not valid JSON"),
            ("legacy", "legacy", '{"verbosity": "warning", "value": "a", "value": "b"}', "same key twice"),
            ("legacy", "legacy", '{"verbosity": "warning", "value": NaN}', "NaN is no JSON"),
            ("legacy", "legacy", '{"verbosity": "warning", "value": "a"} x', "not valid JSON"),
            ("legacy.value", "legacy", '{"verbosity": "warning", "value": 1}', "must be a string"),
            ("legacy", "legacy", '"{}"', "must be an object, is a string"),
            # keys
            ("legacy.value", "legacy", but(LEGACY, value=...), "is required"),
            ("legacy.color", "legacy", but(LEGACY, color="red"), "is no key of this contract"),
            ("legacy.1", "legacy", {**LEGACY, 1: "x"}, "is no key of this contract"),
            ("legacy.None", "legacy", {**LEGACY, None: "x"}, "is no key of this contract"),
            ("legacy.message_type", "legacy", but(LEGACY, message_type="legacy"), "is no key"),
            ("login_status.current_upgrade", "login_status", but(LOGIN, current_upgrade=...), "is required"),
            ("login_status.current_upgrade", "login_status", but(LOGIN, current_upgrade=None), "must be an object, is null"),
            (
                "login_status.current_upgrade.total_steps",
                "login_status",
                but(LOGIN, current_upgrade=but(UPGRADE, total_steps=...)),
                "is required",
            ),
            (
                "login_status.current_upgrade.to_db_version",
                "login_status",
                but(LOGIN, current_upgrade=but(UPGRADE, to_db_version=1)),
                "is no key",
            ),
            # null
            ("legacy.value", "legacy", but(LEGACY, value=None), "must be a string, is null"),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity=None), "must be a string, is null"),
            ("premium_status_update.reason", "premium_status_update", but(PREMIUM, reason=None), "is null"),
            ("premium_status_update.expired", "premium_status_update", but(PREMIUM, expired=None), "true or false, is null"),
            ("negative_balance_detected.bucket.protocol", "negative_balance_detected", but(NEGATIVE, bucket=but(BUCKET, protocol=...)), "is required"),
            ("negative_balance_detected.last_run_ts", "negative_balance_detected", but(NEGATIVE, last_run_ts=...), "is required"),
            ("negative_balance_detected.bucket.asset", "negative_balance_detected", but(NEGATIVE, bucket=but(BUCKET, asset=None)), "is null"),
            ("new_token_detected.seen_tx_reference", "new_token_detected", but(TOKEN, seen_tx_reference=None), "is null"),
            ("new_token_detected.is_ignored", "new_token_detected", but(TOKEN, is_ignored=None), "is null"),
            # strings
            ("legacy.value", "legacy", but(LEGACY, value=1), "must be a string, is a number"),
            ("legacy.value", "legacy", but(LEGACY, value=b"x"), "is a Python bytes"),
            ("legacy.value", "legacy", but(LEGACY, value=["x"]), "is an array"),
            ("legacy.value", "legacy", but(LEGACY, value=True), "is a boolean"),
            ("legacy.value", "legacy", but(LEGACY, value="\ud800"), "is not valid UTF-8"),
            ("negative_balance_detected.balance_before", "negative_balance_detected", but(NEGATIVE, balance_before=1.5), "is a number"),
            ("negative_balance_detected.balance_before", "negative_balance_detected", but(NEGATIVE, balance_before=Decimal(1)), "is a Python Decimal"),
            ("negative_balance_detected.balance_before", "negative_balance_detected", but(NEGATIVE, balance_before=FVal()), "is a Python FVal"),
            # enums
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity="loud"), '"loud" is not one of: error, warning'),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity="WARNING"), "is not one of"),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity="VERBOSITY_WARNING"), "is not one of"),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity="unspecified"), "is not one of"),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity=1), "must be a string, is a number"),
            ("legacy.verbosity", "legacy", but(LEGACY, verbosity=TypeWithStr.LEGACY), "is a Python TypeWithStr"),
            ("missing_api_key.service", "missing_api_key", {"service": "gnosis_pay"}, "gnosis pay"),
            # booleans
            ("premium_status_update.expired", "premium_status_update", but(PREMIUM, expired=1), "must be true or false, is a number"),
            ("premium_status_update.expired", "premium_status_update", but(PREMIUM, expired="true"), "is a string"),
            # numbers
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version="26"), "must be a number, is a string"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=True), "is a boolean"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=26.5), "must be an integer"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=float("nan")), "must be an integer"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=float("inf")), "must be an integer"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=-1), "must be from 0 to 4294967295"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=2**32), "must be from 0 to"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=Decimal(26)), "is a Python Decimal"),
            ("login_status.start_db_version", "login_status", but(LOGIN, start_db_version=26j), "is a Python complex"),
            ("negative_balance_detected.event_identifier", "negative_balance_detected", but(NEGATIVE, event_identifier=2**53), "outside"),
            ("negative_balance_detected.event_identifier", "negative_balance_detected", but(NEGATIVE, event_identifier=-(2**53)), "outside"),
            ("negative_balance_detected.event_identifier", "negative_balance_detected", but(NEGATIVE, event_identifier=10**400), "outside"),
            ("negative_balance_detected.event_identifier", "negative_balance_detected", but(NEGATIVE, event_identifier=1e300), "outside"),
            # tuples
            ("transaction_status.period", "transaction_status", but(EVM, period={"from": 1, "to": 2}), "must be an array, is an object"),
            ("transaction_status.period", "transaction_status", but(EVM, period=[1]), "must have 2 elements, has 1"),
            ("transaction_status.period", "transaction_status", but(EVM, period=[1, 2, 3]), "must have 2 elements, has 3"),
            ("transaction_status.period", "transaction_status", but(EVM, period="12"), "is a string"),
            ("transaction_status.period[1]", "transaction_status", but(EVM, period=[1, "2"]), "must be a number, is a string"),
            ("transaction_status.period[0]", "transaction_status", but(EVM, period=[None, 2]), "is null"),
            # discriminators
            ("transaction_status.subtype", "transaction_status", but(EVM, subtype=...), "is required"),
            ("transaction_status.subtype", "transaction_status", but(EVM, subtype="evmlike"), "is not one of: bitcoin, evm, solana"),
            ("transaction_status.subtype", "transaction_status", but(EVM, subtype=None), "must be a string, is null"),
            ("transaction_status.subtype", "transaction_status", but(EVM, subtype=2), "must be a string, is a number"),
            ("transaction_status.addresses", "transaction_status", but(EVM, addresses=[]), "is no key"),
            ("transaction_status.addresses", "transaction_status", but(EVM, subtype="bitcoin"), "is required"),
            ("transaction_status.evm", "transaction_status", but(EVM, evm={}), "is no key"),
            ("transaction_status.status", "transaction_status", but(EVM, subtype="solana"), "is not one of"),
            ("database_upload_progress.current_chunk", "database_upload_progress", {"type": "compressing", "current_chunk": 1}, "is no key"),
            ("database_upload_progress.total_chunks", "database_upload_progress", {"type": "uploading", "current_chunk": 1}, "is required"),
            ("database_upload_progress.type", "database_upload_progress", {}, "is required"),
            # inside lists
            ("evm_address_migration[1].address", "evm_address_migration", [{"evm_chain": "e", "address": "0"}, {"evm_chain": "e"}], "is required"),
            ("evm_address_migration[0]", "evm_address_migration", ["0x1"], "must be an object, is a string"),
            ("solana_tokens_migration.identifiers[2]", "solana_tokens_migration", {"identifiers": ["a", "b", 3]}, "must be a string"),
            ("solana_tokens_migration.identifiers", "solana_tokens_migration", {"identifiers": "HODL"}, "must be an array, is a string"),
            ("solana_tokens_migration.identifiers", "solana_tokens_migration", {"identifiers": {"HODL"}}, "is a Python set"),
            ("progress_updates.messages[0].rows[1]", "progress_updates", but(CSV, messages=[{"msg": "m", "rows": [1, 1.5]}]), "must be an integer"),
            ("progress_updates.messages[1].rows", "progress_updates", but(CSV, messages=[*CSV["messages"], {"msg": "m"}]), "is required"),
            ("progress_updates.messages[0].is_error", "progress_updates", but(CSV, messages=[{"msg": "m", "rows": [], "is_error": None}]), "is null"),
        ):
            with self.subTest(path, data=data), self.assertRaises(ConversionError) as refused:
                convert(message_type, data)
            self.assertEqual(refused.exception.path, path)
            self.assertIn(problem, refused.exception.problem)
            self.assertEqual(str(refused.exception), f"{path}: {refused.exception.problem}")


if __name__ == "__main__":
    unittest.main()
