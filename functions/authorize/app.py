"""The REST API's authorizer: gets the caller for the credential in x-api-key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.runtime import bootstrap
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import authorization_of, headers_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import AuthorizerAnswer, AuthorizerEvent

authorize = bootstrap.authorize()


@observed(of_request)
def handler(event: AuthorizerEvent, context: LambdaContext) -> AuthorizerAnswer:
    """Allows or denies access to the whole stage."""
    return authorization_of(event, authorize(headers_of(event).get("x-api-key") or ""))
