"""HTTP handling: routing, the caller, and error responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from likeness.domain.caller import Caller
from likeness.errors import LikenessError, NotFound
from likeness.runtime.logging import observed, of_request, report, report_unexpected
from likeness.runtime.problems import HEADERS, PROBLEM, problem
from likeness.runtime.request import caller_of, correlation_id_of, request_id_of, route_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def answer(body: object, status: int = 200) -> Response[str]:
    """A JSON response that is not cached."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(status, content_type="application/json", body=text, headers=HEADERS)


class RestResolver(APIGatewayRestResolver):
    """A resolver that routes by API Gateway's resource, so it is independent of the base path."""

    @property
    def event(self) -> dict[str, Any]:
        """The event of the current request."""
        return self.current_event.raw_event

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
        return self.current_event.query_string_parameters or {}

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """The proxy response."""
        return super().resolve({**event, "path": route_of(dict(event))}, context)


def make_app() -> RestResolver:
    """A resolver that responds to errors with problem documents."""
    app = RestResolver()

    @app.exception_handler(LikenessError)  # type: ignore[untyped-decorator]
    def on_likeness_error(error: LikenessError) -> Response[str]:
        report(error)
        return _problem_response(error)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def on_any_other(error: Exception) -> Response[str]:
        report_unexpected(error)
        return _problem_response(LikenessError(), request_id_of(app.event))

    @app.not_found
    def on_unknown_route(_: Exception) -> Response[str]:
        return _problem_response(NotFound("Route not found"))

    return app


def handler_of(app: RestResolver) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """The Lambda handler of ``app``: it routes the request and adds the request's ids to each log line."""

    @observed(of_request)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return app.resolve(event, context)

    return handler


def _problem_response(error: LikenessError, request_id: str | None = None) -> Response[str]:
    shown = problem(error, request_id)
    return Response(shown["statusCode"], PROBLEM, shown["body"], headers=shown["headers"])
