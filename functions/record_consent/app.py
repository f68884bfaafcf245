"""GET /consent, POST /sessions/{session_id}/consent and …/consent/decline."""

from __future__ import annotations

from likeness.contracts.body import parse_body
from likeness.contracts.consent import ConsentAgreed, terms_of_query
from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
record_consent = bootstrap.record_consent()


@app.get("/consent")
def read() -> Response:
    """Returns the current consent text, with sentences that name the terms of the query."""
    return answer(record_consent.text(app.query.get("language"), terms_of_query(app.query)))


@app.post("/sessions/{session_id}/consent")
def agree(session_id: str) -> Response:
    """Records that the person has agreed to the text."""
    body = parse_body(ConsentAgreed, app.body)
    shown, new = record_consent(app.caller, session_id, body)
    return answer(shown, 201 if new else 200)


@app.post("/sessions/{session_id}/consent/decline")
def decline(session_id: str) -> Response:
    """Records that the person does not agree."""
    return answer(record_consent.decline(app.caller, session_id))
