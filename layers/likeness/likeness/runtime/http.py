"""The HTTP edge: routing, who calls, and how an error is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from likeness.errors import LikenessError, NotFound
from likeness.runtime.logging import report, report_unexpected
from likeness.runtime.problems import HEADERS, PROBLEM, problem
from likeness.runtime.request import request_id_of, route_of


def answer(body: object, status: int = 200) -> Response[str]:
    """A JSON answer that nobody caches."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(status, content_type="application/json", body=text, headers=HEADERS)


class RestResolver(APIGatewayRestResolver):
    """A resolver that routes by API Gateway's resource, whatever base path the request came by."""

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """The proxy answer."""
        return super().resolve({**event, "path": route_of(dict(event))}, context)


def make_app() -> APIGatewayRestResolver:
    """A resolver whose errors are problem documents."""
    app = RestResolver()

    @app.exception_handler(LikenessError)  # type: ignore[untyped-decorator]
    def on_likeness_error(error: LikenessError) -> Response[str]:
        report(error)
        return _problem_response(error)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def on_any_other(error: Exception) -> Response[str]:
        report_unexpected(error)
        return _problem_response(LikenessError(), request_id_of(app.current_event.raw_event))

    @app.not_found
    def on_unknown_route(_: Exception) -> Response[str]:
        return _problem_response(NotFound("There is no such route"))

    return app


def _problem_response(error: LikenessError, request_id: str | None = None) -> Response[str]:
    shown = problem(error, request_id)
    return Response(shown["statusCode"], PROBLEM, shown["body"], headers=shown["headers"])
