"""moto in less time: the tests call it by the hundred thousand, and what it answers stays what it is.

Most of a call is spent on an HTTP request that nobody sends: botocore signs it and names its user agent, moto compares
its address with those of two hundred services, parses it as a form and lists its own methods. Services that take JSON
get it without all this; S3 and its signatures go the whole way. The checks of the parameters, the JSON in both
directions, botocore's events and what moto does with a request stay. tests/quick_dynamodb.py has the rest.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from types import SimpleNamespace
from typing import Any
from urllib.parse import ParseResult, urlparse

from botocore import parsers, useragent
from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.loaders import Loader
from botocore.regions import EndpointRulesetResolver
from botocore.useragent import UserAgentString
from moto import backend_index, backends
from moto.core import responses
from moto.core.base_backend import BackendDict
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.core.parse import BaseJSONParser
from moto.core.responses import BaseResponse
from moto.core.serialize import BaseJSONSerializer, XFormedAttributePicker
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.sqs import models as sqs
from moto.utilities.utils import get_partition
from werkzeug.exceptions import HTTPException

from tests import quick_dynamodb

_call: Any = vars(BaseClient)["_make_api_call"]  # which comes without types
_load, _list_services = vars(Loader)["load_data_with_path"], vars(Loader)["list_available_services"]
_create_request = Endpoint.create_request
_construct_endpoint = EndpointRulesetResolver.construct_endpoint
_read: Any = vars(parsers.BaseJSONParser)["_handle_structure"]
_user_agent = UserAgentString.to_string
_process = BotocoreStubber.process_request
_structure, _parse_structure = BaseJSONSerializer._serialize_type_structure, vars(BaseJSONParser)["_parse_structure"]
_pick, _possible_keys = XFormedAttributePicker.__call__, XFormedAttributePicker.get_possible_keys

#: What botocore's loader has found, by what it was asked for and where it looks.
_files: dict[tuple[str, ...], Any] = {}
_services: dict[tuple[str, ...], list[str]] = {}
#: The header that names the operation where a service takes JSON.
_TARGET = "X-Amz-Target"
#: Services whose addresses depend on no parameter that the product uses.
_ONE_ADDRESS = frozenset({"dynamodb", "sqs", "secretsmanager", "stepfunctions"})


# -- botocore -----------------------------------------------------------------------------------------------------


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
    """A tracer receives of the next call, and from then on of every line."""


def _quick_load(self: Loader, name: str) -> Any:
    """Reads each of botocore's files once, whoever makes a session; moto's own loader changes what it reads."""
    if type(self) is not Loader:
        return _load(self, name)
    where = (name, *self.search_paths)
    if where not in _files:
        _files[where] = _load(self, name)
    return _files[where]


def _quick_services(self: Loader, type_name: str) -> Any:
    """Looks through botocore's four hundred folders once."""
    where = (type_name, *self.search_paths)
    if where not in _services:
        _services[where] = _list_services(self, type_name)
    return _services[where]


def _quick_address(self: EndpointRulesetResolver, operation_model: Any, call_args: Any, request_context: Any) -> Any:
    """A client finds the address of an operation once."""
    if operation_model.service_model.service_name not in _ONE_ADDRESS or not botocore_stubber.enabled:
        return _construct_endpoint(self, operation_model, call_args, request_context)
    found = vars(self).setdefault("_quick_addresses", {})
    if operation_model.name not in found:
        found[operation_model.name] = _construct_endpoint(self, operation_model, call_args, request_context)
    return found[operation_model.name]


def _quick_request(self: Endpoint, params: Any, operation_model: Any = None) -> Any:
    """moto looks at no signature; a request to S3 without one is anonymous."""
    if _TARGET not in params["headers"] or not botocore_stubber.enabled:
        return _create_request(self, params, operation_model)
    headers: Any = dict(params["headers"])
    return AWSPreparedRequest(params["method"], params["url"], headers, params["body"], False)


def _quick_user_agent(self: UserAgentString) -> Any:
    if not botocore_stubber.enabled:
        return _user_agent(self)
    if "_quick_string" not in vars(self):
        vars(self)["_quick_string"] = _user_agent(self)
    return vars(self)["_quick_string"]


def _quick_read(self: Any, shape: Any, value: Any) -> Any:
    """What an attribute value is, it says itself."""
    if shape.name != "AttributeValue" or type(value) is not dict or not value.keys() <= shape.members.keys():
        return _read(self, shape, value)
    return {name: self._parse_shape(shape.members[name], member) for name, member in value.items()}


# -- moto's side of a request -------------------------------------------------------------------------------------


def _quick_process(self: BotocoreStubber, request: Any) -> Any:
    """Hands a request that was made by ``_quick_request`` to the class that answers it."""
    if type(request.headers) is not dict:
        return _process(self, request)
    kind, address, region = _receiver(request.url)
    handler = kind()
    _receive(handler, request, address, region)
    try:
        return handler.call_action()
    except HTTPException as refused:
        return refused.code, refused.get_headers(), refused.get_body()


@functools.cache
def _receiver(url: str) -> tuple[type[BaseResponse], ParseResult, str]:
    """Who answers at ``url``, the URL's parts and its region."""
    service = next(name for name, pattern in backend_index.backend_url_patterns if pattern.match(url))
    found: Any = backends.get_backend(service)  # type: ignore[call-overload]
    assert isinstance(found, BackendDict)
    urls = found[DEFAULT_ACCOUNT_ID]["us-east-1"].urls
    dispatch = next(answer for pattern, answer in urls.items() if re.match(pattern, url))
    region = BaseResponse.region_regex.search(url)
    assert region, url
    return dispatch.__self__, urlparse(url), region[1]


def _receive(handler: Any, request: Any, address: ParseResult, region: str) -> None:
    """Does what moto's ``setup_class`` does for a request whose body is JSON."""
    handler.normalized_request = SimpleNamespace(
        method=request.method,
        values={},
        headers=request.headers,
        content_type=request.headers["Content-Type"],
        data=request.body,
        path=address.path,
    )
    handler.is_werkzeug_request = False
    handler.raw_body, handler.body = request.body, request.body.decode()
    handler.form_data, handler.querystring, handler.data, handler.uri_match = {}, {}, {}, {}
    handler.parsed_url, handler.uri = address, request.url
    handler.path = handler.raw_path = address.path
    handler.method, handler.headers = request.method, request.headers
    handler.region, handler.partition = region, get_partition(region)
    handler.response_headers = {"server": "amazon.com"}
    if handler.automated_parameter_parsing:
        handler.parse_parameters(handler.normalized_request)
    handler.access_key, handler.current_account = "AKIAEXAMPLE", DEFAULT_ACCOUNT_ID


def _quick_structure(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.name != "AttributeValue" or type(value) is not dict:
        _structure(self, serialized, value, shape, key)
        return
    found: dict[str, Any] = {}
    for name, member in value.items():
        self._serialize(found, member, shape.members[name], name)
    self._default_serialize(serialized, found, shape, key)


def _quick_parse_structure(self: Any, shape: Any, value: Any) -> Any:
    if shape.name != "AttributeValue" or type(value) is not dict:
        return _parse_structure(self, shape, value)
    made = self.MAP_TYPE()
    for name, member in value.items():
        if name in shape.members and member is not None:
            made[name] = self._parse_shape(shape.members[name], member)
    return made


#: Under which names moto looks for a member of a plain dictionary, by the member's shape and its name.
_names: dict[tuple[Any, str], tuple[str, ...]] = {}


def _quick_pick(self: XFormedAttributePicker, context: Any) -> Any:
    if type(context.obj) is not dict or self.response_transformers:
        return _pick(self, context)
    member = (context.shape, context.key)
    if member not in _names:
        _names[member] = tuple(_possible_keys(self, context))
    for name in _names[member]:
        if name in context.obj:
            return context.obj[name]
    return None


_requests = itertools.count(1)


def _quick_request_id(headers: Any = None) -> str:
    """Nobody guesses these."""
    made = f"{next(_requests):052d}"
    if isinstance(headers, dict):
        headers["x-amzn-requestid"] = made
    return made


_QUICK: tuple[tuple[Any, str, Any], ...] = (
    (BaseClient, "_make_api_call", _quick_call),
    (Loader, "load_data_with_path", _quick_load),
    (Loader, "list_available_services", _quick_services),
    (EndpointRulesetResolver, "construct_endpoint", _quick_address),
    (Endpoint, "create_request", _quick_request),
    (UserAgentString, "to_string", _quick_user_agent),
    (
        useragent,
        "sanitize_user_agent_string_component",
        functools.cache(useragent.sanitize_user_agent_string_component),
    ),
    (parsers.BaseJSONParser, "_handle_structure", _quick_read),
    (BotocoreStubber, "process_request", _quick_process),
    (BaseJSONSerializer, "_serialize_type_structure", _quick_structure),
    (BaseJSONParser, "_parse_structure", _quick_parse_structure),
    (XFormedAttributePicker, "__call__", _quick_pick),
    (responses, "gen_amzn_requestid_long", _quick_request_id),
    (responses, "camelcase_to_underscores", functools.cache(camelcase_to_underscores)),
    (sqs, "camelcase_to_underscores", functools.cache(camelcase_to_underscores)),
    (responses, "method_names_from_class", functools.cache(method_names_from_class)),
    *quick_dynamodb.QUICK,
)
#: Where these things are done, under which name, and how without us; copy.deepcopy reads None as nothing.
PLAIN = tuple((owner, name, getattr(owner, name, None)) for owner, name, _ in _QUICK)


def install() -> None:
    """Makes moto quick in this process."""
    for owner, name, quick in _QUICK:
        setattr(owner, name, quick)
