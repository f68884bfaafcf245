"""GET /consent and POST /sessions/{session_id}/consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from likeness.contracts.body import parse_body
from likeness.contracts.consent import ConsentAgreed
from likeness.runtime import bootstrap
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import caller_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
record_consent = bootstrap.record_consent()


@app.get("/consent")
def read() -> Response[str]:
    """The text in force."""
    query = app.current_event.query_string_parameters or {}
    return answer(record_consent.text(query.get("language")))


@app.post("/sessions/<session_id>/consent")
def agree(session_id: str) -> Response[str]:
    """The person has agreed to the text."""
    body = parse_body(ConsentAgreed, app.current_event.decoded_body)
    shown, new = record_consent(caller_of(app.current_event.raw_event), session_id, body)
    return answer(shown, 201 if new else 200)


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    return app.resolve(event, context)
