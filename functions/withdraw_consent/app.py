"""POST /sessions/{session_id}/consent/withdraw and PUT /sessions/{session_id}/consent_terms."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app
from likeness.runtime.logging import logger

app = make_app()
handler = handler_of(app)
withdraw_consent = bootstrap.withdraw_consent()


@app.post("/sessions/{session_id}/consent/withdraw")
def withdraw(session_id: str) -> Response:
    """Withdraws the session's consent."""
    shown = withdraw_consent(app.caller, session_id)
    logger.info("consent withdrawn", extra={"session_id": session_id, "source": app.caller.source})
    return answer(shown)


@app.put("/sessions/{session_id}/consent_terms")
def ask(session_id: str) -> Response:
    """Replaces the terms that the person is asked for."""
    from likeness.contracts.body import parse_body  # a person who withdraws a consent does not wait for Pydantic
    from likeness.contracts.consent import Terms

    body = parse_body(Terms, app.body)
    return answer(withdraw_consent.ask(app.caller, session_id, body))
