"""Idempotency keys: a repeated request gets the response to the first one (Powertools' idempotency)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from likeness.errors import Conflict, InvalidRequest, StorageUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from pydantic import BaseModel

    from likeness.runtime.http import App
    from likeness.runtime.stored_answers import StoredAnswers

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
_SECONDS = 86_400
AnswerT = TypeVar("AnswerT")


class Idempotency:
    """Stores the responses to requests with an ``Idempotency-Key`` in a table, for a day.

    The key includes the Lambda function's name and ``operation``: a change of either one orphans stored responses.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, operation: str) -> None:
        self._client, self._table_name = client, table_name
        self._prefix = f"{os.environ.get('AWS_LAMBDA_FUNCTION_NAME', '')}.{operation}"

    @cached_property
    def _config(self) -> IdempotencyConfig:
        from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig

        return IdempotencyConfig(
            event_key_jmespath="[client_id, key]",
            payload_validation_jmespath="body",
            expires_after_seconds=_SECONDS,
            raise_on_no_idempotency_key=True,
        )

    @cached_property
    def _answers(self) -> StoredAnswers:
        from likeness.runtime.stored_answers import StoredAnswers

        return StoredAnswers(self._table_name, self._client)

    def __call__(self, app: App, body: BaseModel, operate: Callable[[], AnswerT]) -> AnswerT:
        """Returns the result of ``operate``, or the stored one of the first request with the same key.

        Without a key, ``operate`` runs each time. The result must be serializable as JSON. Raises InvalidRequest for a
        malformed key, Conflict for one that is in use or was used with another ``body``, and StorageUnavailable when
        the table is unavailable.
        """
        key = app.headers.get(HEADER.lower())
        if key is None:
            return operate()
        if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise InvalidRequest(f"{HEADER}: must be 1 to {LONGEST_KEY} printable ASCII characters", field=HEADER)
        # Powertools' idempotency imports boto3 and JMESPath: only requests with a key wait for that.
        from aws_lambda_powertools.utilities.idempotency import idempotent_function
        from aws_lambda_powertools.utilities.idempotency.exceptions import (
            IdempotencyAlreadyInProgressError,
            IdempotencyPersistenceLayerError,
            IdempotencyValidationError,
        )

        self._config.register_lambda_context(app.lambda_context)

        def once(*, request: dict[str, Any]) -> AnswerT:  # noqa: ARG001 - Powertools reads it
            return operate()

        answered: Callable[..., AnswerT] = idempotent_function(
            once,
            data_keyword_argument="request",
            config=self._config,
            persistence_store=self._answers,
            key_prefix=self._prefix,
        )
        try:
            return answered(
                request={"client_id": app.caller.client_id, "key": key, "body": json.loads(body.model_dump_json())}
            )
        except IdempotencyAlreadyInProgressError:
            raise Conflict("The same request is still in progress", code="request_in_progress", retry_after=1) from None
        except IdempotencyPersistenceLayerError:
            raise StorageUnavailable(retry_after=5) from None
        except IdempotencyValidationError:
            message = "This Idempotency-Key was used with a different request body"
            raise Conflict(message, code="idempotency_key_reused") from None
