"""Converts what rotki's backend would have put through json.dumps to the typed notification.

This mirrors bridge/envelope/decode.go, and is as strict: a key that is missing or not in the contract is refused, and
so is None where nothing is nullable. What json.dumps takes is taken: tuples for lists, subclasses of str, int, float,
list and dict. What it does not take, such as Decimal, is refused.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from typing import Any, Dict, List, Optional, Set, Tuple

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Kind

from .contract import BARE, TUPLE, Contract, Field, Message, contract
from .errors import ConversionError

_MAX_SAFE_INTEGER = 2**53 - 1
_SAFE = (-_MAX_SAFE_INTEGER, _MAX_SAFE_INTEGER)
_INT32 = (-(2**31), 2**31 - 1)
_UINT32 = (0, 2**32 - 1)
_RANGES = {
    Kind.TYPE_INT32: _INT32,
    Kind.TYPE_SINT32: _INT32,
    Kind.TYPE_SFIXED32: _INT32,
    Kind.TYPE_UINT32: _UINT32,
    Kind.TYPE_FIXED32: _UINT32,
    Kind.TYPE_UINT64: (0, _MAX_SAFE_INTEGER),
    Kind.TYPE_FIXED64: (0, _MAX_SAFE_INTEGER),
    Kind.TYPE_INT64: _SAFE,
    Kind.TYPE_SINT64: _SAFE,
    Kind.TYPE_SFIXED64: _SAFE,
}


def convert(message_type: object, data: object, using: Optional[Contract] = None) -> Any:
    """Returns the Notification for a message type and its data. Raises ConversionError when they do not fit.

    message_type is the wire name, or an enum member whose str() or value is. data may also be a str that holds JSON,
    as rotki's API document shows it for some types. using is another contract than this package's own.
    """
    plans = using or contract()
    name = _type_name(message_type, plans)
    if isinstance(data, str):
        data = _parse(data, name)
    notification = plans.notification()
    payload = getattr(notification, name)
    payload.SetInParent()
    _message(data, plans.types[name], payload, name)
    return notification


def _type_name(message_type: object, plans: Contract) -> str:
    candidates: List[object] = [message_type]
    if isinstance(message_type, enum.Enum):
        candidates = [str(message_type), message_type.value]
    for candidate in candidates:
        if isinstance(candidate, str) and candidate in plans.types:
            return str.__str__(candidate)
    if not isinstance(candidates[0], str):
        raise ConversionError("type", f"must be the name of a notification type, a string, is {_describe(message_type)}")
    raise ConversionError("type", f'"{candidates[0]}" is no notification type of this contract')


def _parse(text: str, path: str) -> object:
    def unique(members: List[Tuple[str, object]]) -> Dict[str, object]:
        result = dict(members)
        if len(result) < len(members):
            raise ValueError("an object has the same key twice")
        return result

    def constant(name: str) -> object:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as err:
        raise ConversionError(path, f"not valid JSON: {err}") from None


def _message(value: object, plan: Message, into: Any, path: str) -> None:
    if plan.shape == BARE:
        _field(value, plan.fields[0], into, path)
    elif plan.shape == TUPLE:
        _tuple(value, plan, into, path)
    else:
        _object(value, plan, into, path)


def _tuple(value: object, plan: Message, into: Any, path: str) -> None:
    if not isinstance(value, (list, tuple)):
        raise _wrong_kind(value, "an array", path)
    if len(value) != len(plan.fields):
        raise ConversionError(path, f"must have {len(plan.fields)} elements, has {len(value)}")
    for index, f in enumerate(plan.fields):
        _field(value[index], f, into, f"{path}[{index}]")


def _object(value: object, plan: Message, into: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise _wrong_kind(value, "an object", path)
    known: Set[str] = set()
    _members(value, known, plan, into, path)
    for choice in plan.choices:
        known.add(choice.name)
        where = f"{path}.{choice.name}"
        if choice.name not in value:
            raise ConversionError(where, "is required")
        name = value[choice.name]
        if not isinstance(name, str):
            raise _wrong_kind(name, "a string", where)
        variant = choice.variants.get(name)
        if variant is None:
            raise ConversionError(where, f'"{name}" is not one of: {_listed(choice.variants)}')
        chosen = getattr(into, str.__str__(name))
        chosen.SetInParent()
        _members(value, known, variant, chosen, path)
    for key in value:
        if key not in known:
            raise ConversionError(f"{path}.{key}", "is no key of this contract")


def _members(value: Dict[Any, object], known: Set[str], plan: Message, into: Any, path: str) -> None:
    """Converts those members that are fields of the plan, and notes them as known."""
    for f in plan.fields:
        known.add(f.name)
        if f.name in value:
            _field(value[f.name], f, into, f"{path}.{f.name}")
        elif not f.omittable:
            raise ConversionError(f"{path}.{f.name}", "is required")


def _field(value: object, f: Field, into: Any, path: str) -> None:
    if value is None and f.nullable:
        return
    if f.repeated:
        if not isinstance(value, (list, tuple)):
            raise _wrong_kind(value, "an array", path)
        items = getattr(into, f.name)
        for index, element in enumerate(value):
            where = f"{path}[{index}]"
            if f.message is not None:
                _message(element, f.message, items.add(), where)
            else:
                items.append(_scalar(element, f, where))
    elif f.message is not None:
        message = getattr(into, f.name)
        message.SetInParent()
        _message(value, f.message, message, path)
    else:
        setattr(into, f.name, _scalar(value, f, path))


def _scalar(value: object, f: Field, path: str) -> object:
    if f.kind == Kind.TYPE_STRING or f.enum is not None:
        if not isinstance(value, str):
            raise _wrong_kind(value, "a string", path)
        if f.enum is None:
            return _text(value, path)
        if value not in f.enum:
            raise ConversionError(path, f'"{str.__str__(value)}" is not one of: {_listed(f.enum)}')
        return f.enum[value]
    if f.kind == Kind.TYPE_BOOL:
        if not isinstance(value, bool):
            raise _wrong_kind(value, "true or false", path)
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_kind(value, "a number", path)
    if f.kind in (Kind.TYPE_DOUBLE, Kind.TYPE_FLOAT):
        return _floating(value, f, path)
    return _integer(value, f, path)


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConversionError(path, "is not valid UTF-8: it holds a lone surrogate") from None
    return str.__str__(value)


def _floating(value: float, f: Field, path: str) -> float:
    try:
        number = float(value)
        if math.isfinite(number) and f.kind == Kind.TYPE_FLOAT:
            struct.pack("<f", number)
    except OverflowError:
        raise ConversionError(path, "is too large a number") from None
    if not math.isfinite(number):
        raise ConversionError(path, "is not a finite number, and JSON has no other")
    return number


def _integer(value: float, f: Field, path: str) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ConversionError(path, "must be an integer")
    number = int(value)  # to JSON 5.0 is 5
    if not _SAFE[0] <= number <= _SAFE[1]:
        raise ConversionError(path, "is outside ±(2^53-1), the integers that every JSON reader keeps exact")
    low, high = _RANGES[f.kind]
    if not low <= number <= high:
        raise ConversionError(path, f"must be from {low} to {high}")
    return number


def _listed(names: Dict[str, Any]) -> str:
    return ", ".join(sorted(names))


def _wrong_kind(value: object, want: str, path: str) -> ConversionError:
    return ConversionError(path, f"must be {want}, is {_describe(value)}")


def _describe(value: object) -> str:
    if value is None:
        return "null"
    for kind, name in (
        (bool, "a boolean"),
        (str, "a string"),
        ((int, float), "a number"),
        (dict, "an object"),
        ((list, tuple), "an array"),
    ):
        if isinstance(value, kind):  # type: ignore[arg-type]
            return name
    return f"a Python {type(value).__name__}, for which JSON has nothing"
