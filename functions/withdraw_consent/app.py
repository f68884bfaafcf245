"""POST /sessions/{session_id}/consent/withdraw and PUT /sessions/{session_id}/consent_terms."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from likeness.contracts.body import parse_body
from likeness.contracts.consent import Terms
from likeness.runtime import bootstrap
from likeness.runtime.http import answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
withdraw_consent = bootstrap.withdraw_consent()


@app.post("/sessions/<session_id>/consent/withdraw")
def withdraw(session_id: str) -> Response[str]:
    """Withdraws the session's consent."""
    shown = withdraw_consent(app.caller, session_id)
    logger.info("consent withdrawn", extra={"session_id": session_id, "source": app.caller.source})
    return answer(shown)


@app.put("/sessions/<session_id>/consent_terms")
def ask(session_id: str) -> Response[str]:
    """Replaces the terms that the person is asked for."""
    body = parse_body(Terms, app.current_event.decoded_body)
    return answer(withdraw_consent.ask(app.caller, session_id, body))
