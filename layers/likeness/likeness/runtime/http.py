"""HTTP handling: routing, the caller, and error responses.

API Gateway has chosen the function by the request's resource and method, so a route is an entry of a dict. A router
that compares paths, Powertools' event handler, took an eighth of the start of each function behind the API.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from likeness.domain.caller import Caller
from likeness.errors import LikenessError, NotFound
from likeness.runtime.logging import observed, of_request, report, report_unexpected
from likeness.runtime.problems import HEADERS, problem
from likeness.runtime.request import caller_of, correlation_id_of, headers_of, request_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

#: A parameter in the path of a route, as in the template: ``{session_id}``.
_PARAMETER = re.compile(r"\{(\w+)\}")
#: An API Gateway proxy response.
Response = dict[str, Any]
Action = TypeVar("Action", bound=Callable[..., Response])


def answer(body: object, status: int = 200) -> Response:
    """A JSON response that is not cached."""
    text = json.dumps(body, ensure_ascii=False)
    return {"statusCode": status, "headers": {**HEADERS, "Content-Type": "application/json"}, "body": text}


class App:
    """The routes of a function, by API Gateway's resource: so they are independent of the base path.

    Actions get the path's parameters percent-encoded: a parameter cannot contain a character that separates keys.
    """

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], Callable[..., Response]] = {}
        #: The event of the current request.
        self.event: Mapping[str, Any] = {}
        self.lambda_context: LambdaContext

    def get(self, resource: str) -> Callable[[Action], Action]:
        """Decorates the action of a GET request."""
        return self._route("GET", resource)

    def post(self, resource: str) -> Callable[[Action], Action]:
        """Decorates the action of a POST request."""
        return self._route("POST", resource)

    def put(self, resource: str) -> Callable[[Action], Action]:
        """Decorates the action of a PUT request."""
        return self._route("PUT", resource)

    def delete(self, resource: str) -> Callable[[Action], Action]:
        """Decorates the action of a DELETE request."""
        return self._route("DELETE", resource)

    def _route(self, method: str, resource: str) -> Callable[[Action], Action]:
        def add(action: Action) -> Action:
            self._actions[method, resource] = action
            return action

        return add

    @property
    def caller(self) -> Caller:
        """The caller of the current request. Raises NotFound without the authorizer's context."""
        return caller_of(self.event)

    @property
    def correlation_id(self) -> str | None:
        """The correlation id for a session that the current request creates."""
        return correlation_id_of(self.event)

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters of the current request."""
        return self.event.get("queryStringParameters") or {}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the current request, with names in lower case."""
        return headers_of(self.event)

    @property
    def body(self) -> str | None:
        """The body of the current request. Raises ValueError for one that is not text."""
        body: str | None = self.event.get("body")
        return base64.b64decode(body).decode() if body and self.event.get("isBase64Encoded") else body

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> Response:
        """The proxy response. Errors become problem documents."""
        self.event, self.lambda_context = event, context
        action = self._actions.get((event["httpMethod"], event["resource"]))
        if action is None:
            return problem(NotFound("Route not found"))
        try:
            values: Mapping[str, str] = event.get("pathParameters") or {}
            parameters = {
                name: quote(values[name], safe="", errors="replace") for name in _PARAMETER.findall(event["resource"])
            }
            return action(**parameters)
        except LikenessError as error:
            report(error)
            return problem(error)
        except Exception as error:
            report_unexpected(error)
            return problem(LikenessError(), request_id_of(event))


def make_app() -> App:
    """An app without routes."""
    return App()


def handler_of(app: App) -> Callable[[dict[str, Any], LambdaContext], Response]:
    """The Lambda handler of ``app``: it routes the request and adds the request's ids to each log line."""

    @observed(of_request)
    def handler(event: dict[str, Any], context: LambdaContext) -> Response:
        return app.resolve(event, context)

    return handler
