"""The wire rules that rotki's own types do not all need, on a contract made for the purpose."""

from __future__ import annotations

import math
import unittest
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from rotki.notifications.v1 import wire_pb2  # which the options below are from
from rotki_bridge import ConversionError, convert
from rotki_bridge.contract import Contract

RULES = """
name: "rotki_bridge/rules.proto" package: "rotki_bridge.rules" syntax: "proto3"
dependency: "rotki/notifications/v1/wire.proto"
message_type {
  name: "Notification" oneof_decl { name: "payload" }
  field { name: "numbers" number: 1 type: TYPE_MESSAGE type_name: "Numbers" oneof_index: 0 label: LABEL_OPTIONAL }
  field { name: "points" number: 2 type: TYPE_MESSAGE type_name: "Points" oneof_index: 0 label: LABEL_OPTIONAL }
  field { name: "tree" number: 3 type: TYPE_MESSAGE type_name: "Tree" oneof_index: 0 label: LABEL_OPTIONAL }
  field { name: "maybe" number: 4 type: TYPE_MESSAGE type_name: "Maybe" oneof_index: 0 label: LABEL_OPTIONAL }
  field { name: "both" number: 5 type: TYPE_MESSAGE type_name: "Both" oneof_index: 0 label: LABEL_OPTIONAL }
}
message_type {
  name: "Numbers"
  field { name: "i32" number: 1 type: TYPE_SINT32 label: LABEL_OPTIONAL }
  field { name: "u64" number: 2 type: TYPE_FIXED64 label: LABEL_OPTIONAL }
  field { name: "f32" number: 3 type: TYPE_FLOAT label: LABEL_OPTIONAL }
  field { name: "f64" number: 4 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
}
message_type {
  name: "Points" options { [rotki.notifications.v1.shape]: SHAPE_BARE }
  field { name: "marks" number: 1 type: TYPE_MESSAGE type_name: "Mark" label: LABEL_REPEATED }
}
message_type {
  name: "Mark" options { [rotki.notifications.v1.shape]: SHAPE_TUPLE } oneof_decl { name: "_value" }
  field {
    name: "value" number: 2 type: TYPE_DOUBLE label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true
    options { [rotki.notifications.v1.nullable]: true }
  }
  field { name: "color" number: 1 type: TYPE_ENUM type_name: "Color" label: LABEL_OPTIONAL }
}
message_type {
  name: "Tree"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "children" number: 2 type: TYPE_MESSAGE type_name: "Tree" label: LABEL_REPEATED }
}
message_type {
  name: "Maybe" options { [rotki.notifications.v1.shape]: SHAPE_BARE } oneof_decl { name: "_text" }
  field {
    name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true
    options { [rotki.notifications.v1.nullable]: true }
  }
}
message_type {
  name: "Both"
  oneof_decl { name: "first" options { [rotki.notifications.v1.discriminator]: "first kind" } }
  oneof_decl { name: "second" options { [rotki.notifications.v1.discriminator]: "second kind" } }
  oneof_decl { name: "_note" }
  field { name: "tree" number: 1 type: TYPE_MESSAGE type_name: "Tree" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "idle" number: 2 type: TYPE_MESSAGE type_name: "Idle" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "count" number: 3 type: TYPE_MESSAGE type_name: "Numbers" label: LABEL_OPTIONAL oneof_index: 1 }
  field { name: "rest" number: 4 type: TYPE_MESSAGE type_name: "Idle" label: LABEL_OPTIONAL oneof_index: 1 }
  field { name: "note" number: 5 type: TYPE_MESSAGE type_name: "Maybe" label: LABEL_OPTIONAL oneof_index: 2 proto3_optional: true }
}
message_type { name: "Idle" }
enum_type {
  name: "Color"
  value { name: "COLOR_UNSPECIFIED" number: 0 }
  value { name: "COLOR_DARK_BLUE" number: 1 }
  value { name: "COLOR_OFF_WHITE" number: 2 options { [rotki.notifications.v1.json_value]: "off white" } }
}
"""


def rules() -> Contract:
    file = text_format.Parse(RULES, descriptor_pb2.FileDescriptorProto())
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = f".{file.package}.{field.type_name}"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindMessageTypeByName(f"{file.package}.Notification")
    if hasattr(message_factory, "GetMessageClass"):
        return Contract(message_factory.GetMessageClass(descriptor))
    return Contract(message_factory.MessageFactory(pool).GetPrototype(descriptor))


CONTRACT = rules()
NUMBERS = {"i32": 0, "u64": 0, "f32": 0, "f64": 0}


class TestRules(unittest.TestCase):
    def check(self, message_type: str, data: Any, want: str) -> Any:
        notification = convert(message_type, data, CONTRACT)
        self.assertEqual(notification, text_format.Parse(want, CONTRACT.notification()))
        return notification

    def test_taken(self) -> None:
        for message_type, data, want in (
            ("numbers", NUMBERS, "numbers {}"),
            (
                "numbers",
                {"i32": -(2**31), "u64": 2**53 - 1, "f32": 1, "f64": -1.5e300},
                "numbers { i32: -2147483648 u64: 9007199254740991 f32: 1 f64: -1.5e300 }",
            ),
            ("points", [], "points {}"),
            ("points", (("off white", None), ["dark_blue", 2]), "points { marks { color: COLOR_OFF_WHITE } marks { color: COLOR_DARK_BLUE value: 2 } }"),
            ("points", [["dark_blue", 0]], "points { marks { color: COLOR_DARK_BLUE value: 0 } }"),
            ("tree", {"name": "a", "children": [{"name": "b", "children": []}]}, 'tree { name: "a" children { name: "b" } }'),
            ("maybe", None, "maybe {}"),
            ("maybe", '""', 'maybe { text: "" }'),
            ("both", {"first kind": "idle", "second kind": "rest"}, "both { idle {} rest {} }"),
            ("both", {"first kind": "idle", "second kind": "rest", "note": None}, "both { idle {} rest {} note {} }"),
            (
                "both",
                {"second kind": "count", "name": "a", "children": [], **NUMBERS, "i32": 1, "first kind": "tree", "note": "n"},
                'both { tree { name: "a" } count { i32: 1 } note { text: "n" } }',
            ),
        ):
            with self.subTest(message_type, data=data):
                self.check(message_type, data, want)

    def test_negative_zero_keeps_its_sign(self) -> None:
        notification = convert("points", [["dark_blue", -0.0]], CONTRACT)
        self.assertEqual(math.copysign(1, notification.points.marks[0].value), -1)

    def test_refused(self) -> None:
        for path, message_type, data, problem in (
            ("numbers.i32", "numbers", {**NUMBERS, "i32": 2**31}, "must be from -2147483648 to 2147483647"),
            ("numbers.u64", "numbers", {**NUMBERS, "u64": -1}, "must be from 0 to 9007199254740991"),
            ("numbers.u64", "numbers", {**NUMBERS, "u64": 2**53}, "outside"),
            ("numbers.f32", "numbers", {**NUMBERS, "f32": 1e39}, "too large"),
            ("numbers.f64", "numbers", {**NUMBERS, "f64": 10**400}, "too large"),
            ("numbers.f64", "numbers", {**NUMBERS, "f64": float("nan")}, "not a finite number"),
            ("numbers.f32", "numbers", {**NUMBERS, "f32": float("-inf")}, "not a finite number"),
            ("numbers.f64", "numbers", {**NUMBERS, "f64": "1"}, "must be a number"),
            ("numbers.f64", "numbers", {**NUMBERS, "f64": None}, "must be a number"),
            ("points", "points", None, "must be an array"),
            ("points[0]", "points", [{}], "must be an array, is an object"),
            ("points[1][1]", "points", [["dark_blue", None], ["dark_blue", "2"]], "must be a number"),
            ("points[0][0]", "points", [[None, None]], "must be a string"),
            ("points[0][0]", "points", [["off_white", None]], "is not one of: dark_blue, off white"),
            ("tree.children[0].children[0].name", "tree", {"name": "", "children": [{"name": "", "children": [{"children": []}]}]}, "is required"),
            ("maybe", "maybe", 1, "must be a string"),
            ("both.second kind", "both", {"first kind": "idle"}, "is required"),
            ("both.first kind", "both", {"first kind": "rest", "second kind": "rest"}, "is not one of: idle, tree"),
            ("both.name", "both", {"first kind": "tree", "children": [], "second kind": "rest"}, "is required"),
            ("both.note", "both", {"first kind": "idle", "second kind": "rest", "note": 1}, "must be a string"),
        ):
            with self.subTest(path, data=data), self.assertRaises(ConversionError) as refused:
                convert(message_type, data, CONTRACT)
            self.assertEqual(refused.exception.path, path)
            self.assertIn(problem, refused.exception.problem)


if __name__ == "__main__":
    unittest.main()
