"""The contract's wire rules, read from the descriptors and their options alone.

This mirrors bridge/envelope/plan.go: a plan per message says which JSON value it is. The bridge refuses to start with
a contract that breaks the rules, so that is not checked here again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from rotki.notifications.v1 import wire_pb2
from rotki.notifications.v1.notification_pb2 import Notification

OBJECT = wire_pb2.SHAPE_UNSPECIFIED
BARE = wire_pb2.SHAPE_BARE
TUPLE = wire_pb2.SHAPE_TUPLE


@dataclass
class Field:
    """The plan of a field."""

    name: str  # also the JSON key
    kind: int  # one of FieldDescriptorProto.TYPE_*
    repeated: bool
    omittable: bool  # its key may be missing
    nullable: bool  # its value may be null
    message: Optional[Message] = None
    enum: Optional[Dict[str, int]] = None  # the numbers by their JSON names


@dataclass
class Choice:
    """The plan of a oneof whose messages are flattened into the enclosing object."""

    name: str  # the discriminator's key
    variants: Dict[str, Message] = field(default_factory=dict)


@dataclass
class Message:
    """The plan of a message."""

    shape: int
    fields: List[Field] = field(default_factory=list)  # of a tuple in the order of their numbers
    choices: List[Choice] = field(default_factory=list)


class Contract:
    """The plans of all notification types.

    notification is the generated message class with one oneof, whose field names are the types.
    """

    def __init__(self, notification: Any) -> None:
        self.notification = notification
        self._messages: Dict[str, Message] = {}
        (payload,) = notification.DESCRIPTOR.oneofs
        self.types = {fd.name: self._message(fd.message_type) for fd in payload.fields}

    def _message(self, md: Any) -> Message:
        plan = self._messages.get(md.full_name)
        if plan is not None:
            return plan
        plan = Message(md.GetOptions().Extensions[wire_pb2.shape])
        self._messages[md.full_name] = plan  # before its fields: one of them may be of the same kind
        proto = _proto(md)
        fields = list(proto.field)
        if plan.shape == TUPLE:
            fields.sort(key=lambda f: int(f.number))
        chosen = set()  # the oneofs that are not just how protobuf implements `optional`
        for f in fields:
            if f.HasField("oneof_index") and not f.proto3_optional:
                chosen.add(f.oneof_index)
            else:
                plan.fields.append(self._field(f, md.fields_by_name[f.name]))
        for index in sorted(chosen):
            plan.choices.append(self._choice(md.oneofs_by_name[proto.oneof_decl[index].name]))
        return plan

    def _field(self, proto: FieldDescriptorProto, fd: Any) -> Field:
        nullable = fd.GetOptions().Extensions[wire_pb2.nullable]
        return Field(
            name=proto.name,
            kind=proto.type,
            repeated=proto.label == FieldDescriptorProto.LABEL_REPEATED,
            omittable=proto.proto3_optional and not nullable,
            nullable=nullable,
            message=self._message(fd.message_type) if fd.message_type is not None else None,
            enum=_enum(fd.enum_type) if fd.enum_type is not None else None,
        )

    def _choice(self, od: Any) -> Choice:
        name = od.GetOptions().Extensions[wire_pb2.discriminator]
        return Choice(name, {fd.name: self._message(fd.message_type) for fd in od.fields})


def _proto(md: Any) -> DescriptorProto:
    """Returns a message as it was compiled: Python's descriptors do not say which fields are `optional`."""
    if md.containing_type is not None:
        siblings = _proto(md.containing_type).nested_type
    else:
        siblings = FileDescriptorProto.FromString(md.file.serialized_pb).message_type
    return next(m for m in siblings if m.name == md.name)


def _enum(ed: Any) -> Dict[str, int]:
    """Returns the values by their JSON names, without the unspecified one."""
    prefix = ed.values_by_number[0].name[: -len("UNSPECIFIED")]
    return {
        v.GetOptions().Extensions[wire_pb2.json_value] or v.name[len(prefix) :].lower(): v.number
        for v in ed.values
        if v.number != 0
    }


@functools.lru_cache(maxsize=None)
def contract() -> Contract:
    """Returns the contract that this package was built with."""
    return Contract(Notification)
