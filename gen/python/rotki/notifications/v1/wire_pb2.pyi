from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

CONFLATE_BY_FIELD_NUMBER: _ClassVar[int]
DESCRIPTOR: _descriptor.FileDescriptor
DISCRIMINATOR_FIELD_NUMBER: _ClassVar[int]
JSON_VALUE_FIELD_NUMBER: _ClassVar[int]
NEVER_CONFLATE_FIELD_NUMBER: _ClassVar[int]
NULLABLE_FIELD_NUMBER: _ClassVar[int]
SHAPE_BARE: Shape
SHAPE_FIELD_NUMBER: _ClassVar[int]
SHAPE_TUPLE: Shape
SHAPE_UNSPECIFIED: Shape
conflate_by: _descriptor.FieldDescriptor
discriminator: _descriptor.FieldDescriptor
json_value: _descriptor.FieldDescriptor
never_conflate: _descriptor.FieldDescriptor
nullable: _descriptor.FieldDescriptor
shape: _descriptor.FieldDescriptor

class Shape(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
