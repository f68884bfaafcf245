"""moto in less time: the tests call it by the hundred thousand, and what it answers stays what it is.

moto looks for all ten kinds that an attribute value could be of, and for each of them under six names; it copies items
down to the last scalar, in a transaction the whole table; in every call it lists its own methods and parses the same
expressions. Nobody reads the user agents that botocore takes such care of, and nobody asks which lines of all this have
been covered.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from botocore import useragent
from botocore.client import BaseClient
from botocore.signers import RequestSigner
from moto.core import responses
from moto.core.models import botocore_stubber
from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing import expressions

_parser: Any = vars(expressions)["UpdateExpressionParser"]  # which comes without types
_call: Any = vars(BaseClient)["_make_api_call"]  # which comes without types, too
_sign = RequestSigner.handler
_structure = BaseJSONSerializer._serialize_type_structure


def _quick_call(self: BaseClient, operation: str, parameters: Any) -> Any:
    """Coverage follows every line of the process, and takes as long for it as the line itself."""
    tracer = sys.gettrace()
    if tracer is None or self.meta.service_model.service_name == "lambda":  # where moto calls our handlers
        return _call(self, operation, parameters)
    sys.settrace(None)
    try:
        return _call(self, operation, parameters)
    finally:
        sys.settrace(tracer)
        _begin_again()


def _begin_again() -> None:
    """A tracer hears of the next call, and from then on of every line."""


def _quick_sign(self: RequestSigner, *args: Any, **options: Any) -> Any:
    """Of DynamoDB's callers moto looks at no signature; a request to S3 without one is anonymous."""
    unread = botocore_stubber.enabled and self.signing_name == "dynamodb"
    return None if unread else _sign(self, *args, **options)


def _quick_structure(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """What an attribute value is, it says itself."""
    if shape.name != "AttributeValue" or type(value) is not dict:
        _structure(self, serialized, value, shape, key)
        return
    found: dict[str, Any] = {}
    for name, member in value.items():
        self._serialize(found, member, shape.members[name], name)
    self._default_serialize(serialized, found, shape, key)


def _quick_copy(self: DynamoType, memo: dict[int, Any]) -> DynamoType:
    """Lists, maps and sets are changed in place; scalars never, so that two items may share them."""
    if self.type == "L":
        value: Any = [_quick_copy(each, memo) for each in self.value]
    elif self.type == "M":
        value = {name: _quick_copy(each, memo) for name, each in self.value.items()}
    elif self.type in ("SS", "NS", "BS"):
        value = list(self.value)
    else:
        return self
    made = DynamoType.__new__(DynamoType)
    made.type, made.value = self.type, value
    return made


_QUICK: tuple[tuple[Any, str, Any], ...] = (
    (BaseClient, "_make_api_call", _quick_call),
    (RequestSigner, "handler", _quick_sign),
    (
        useragent,
        "sanitize_user_agent_string_component",
        functools.cache(useragent.sanitize_user_agent_string_component),
    ),
    (BaseJSONSerializer, "_serialize_type_structure", _quick_structure),
    (DynamoType, "__deepcopy__", _quick_copy),
    (responses, "camelcase_to_underscores", functools.cache(camelcase_to_underscores)),
    (responses, "method_names_from_class", functools.cache(method_names_from_class)),
    # Who changes what was parsed changes a copy of it.
    (_parser, "make", staticmethod(functools.cache(_parser.make))),
)
#: Where these things are done, under which name, and how without us.
PLAIN = tuple((owner, name, getattr(owner, name)) for owner, name, _ in _QUICK)


def install() -> None:
    """Makes moto quick in this process."""
    for owner, name, quick in _QUICK:
        setattr(owner, name, quick)
