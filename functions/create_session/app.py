"""POST /sessions, and POST /sessions/{session_id}/attempts and …/invite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)

from likeness.contracts.body import parse_body
from likeness.contracts.http import NewSession
from likeness.errors import Conflict, InvalidRequest, StorageUnavailable
from likeness.runtime import bootstrap, settings
from likeness.runtime.http import answer, make_app
from likeness.runtime.logging import logger, observed, of_request
from likeness.runtime.request import base_url, caller_of, correlation_id_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = make_app()
sessions = bootstrap.create_session()
public_base_url = settings.text("PUBLIC_BASE_URL", may_be_empty=True)
idempotency = IdempotencyConfig(
    event_key_jmespath="[client_id, key]",
    payload_validation_jmespath="body",
    expires_after_seconds=86_400,
    raise_on_no_idempotency_key=True,
)
answers = DynamoDBPersistenceLayer(settings.text("IDEMPOTENCY_TABLE_NAME"), boto3_client=bootstrap.client("dynamodb"))


@app.post("/sessions")
def create() -> Response[str]:
    """Creates a session; with an Idempotency-Key the same request gets the same answer for a day."""
    event = app.current_event.raw_event
    caller = caller_of(event)
    body = parse_body(NewSession, app.current_event.decoded_body)
    key = app.current_event.headers.get("Idempotency-Key")

    def made() -> dict[str, Any]:
        correlation_id = correlation_id_of(event)
        view: dict[str, Any] = sessions.create(caller, body, base_url(event, public_base_url), correlation_id)
        # The beginning of the session's story in the logs.
        logger.append_keys(session_id=view["id"], correlation_id=correlation_id)
        logger.info("session created")
        return view

    if key is None:
        return answer(made(), 201)
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise InvalidRequest("Idempotency-Key: 1 to 255 printable ASCII characters", field="Idempotency-Key")
    request = {"client_id": caller.client_id, "key": key, "body": json.loads(body.model_dump_json())}

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="request", config=idempotency, persistence_store=answers
    )
    def once(*, request: dict[str, Any]) -> dict[str, Any]:
        return made()

    try:
        return answer(once(request=request), 201)
    except IdempotencyAlreadyInProgressError:
        raise Conflict("The same request is being served", code="request_in_progress", retry_after=1) from None
    except IdempotencyPersistenceLayerError:
        raise StorageUnavailable(retry_after=5) from None
    except IdempotencyValidationError:
        message = "This Idempotency-Key was used with another body"
        raise Conflict(message, code="idempotency_key_reused") from None


@app.post("/sessions/<session_id>/attempts")
def create_attempt(session_id: str) -> Response[str]:
    """A fresh H5 link for the same session."""
    event = app.current_event.raw_event
    return answer(sessions.create_attempt(caller_of(event), session_id, base_url(event, public_base_url)), 201)


@app.post("/sessions/<session_id>/invite")
def renew_invite(session_id: str) -> Response[str]:
    """A fresh invite link; the ones before it end."""
    event = app.current_event.raw_event
    view = sessions.renew_invite(caller_of(event), session_id, base_url(event, public_base_url))
    logger.info("invite renewed", extra={"session_id": view["id"]})
    return answer(view, 201)


@observed(of_request)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Routes the request."""
    idempotency.register_lambda_context(context)
    return app.resolve(event, context)
