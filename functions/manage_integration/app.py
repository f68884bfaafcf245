"""GET /client-keys and /webhooks, POST /webhooks/{webhook_id}/test and …/replay."""

from __future__ import annotations

from likeness.runtime import bootstrap
from likeness.runtime.http import Response, answer, handler_of, make_app

app = make_app()
handler = handler_of(app)
integration = bootstrap.manage_integration()


@app.get("/client-keys")
def list_keys() -> Response:
    """Returns the client's keys, without the keys themselves."""
    return answer(integration.keys(app.caller))


@app.get("/webhooks")
def list_webhooks() -> Response:
    """Returns the client's webhook endpoints, without their secrets."""
    return answer(integration.endpoints(app.caller))


@app.post("/webhooks/{webhook_id}/test")
def test(webhook_id: str) -> Response:
    """Queues a test event for one endpoint."""
    return answer(integration.test(app.caller, webhook_id), 202)


@app.post("/webhooks/{webhook_id}/replay")
def replay(webhook_id: str) -> Response:
    """Queues the endpoint's failed deliveries again."""
    return answer(integration.replay(app.caller, webhook_id))
