"""The REST API's authorizer: x-api-key → caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likeness.runtime import bootstrap
from likeness.runtime.logging import observed, of_request
from likeness.runtime.request import headers_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from likeness.runtime.invocations import AuthorizerEvent

authorize = bootstrap.authorize()


@observed(of_request)
def handler(event: AuthorizerEvent, context: LambdaContext) -> dict[str, Any]:
    """Allows or denies the whole stage: the answer is cached for every route. Whose what is, the steps decide."""
    caller = authorize(headers_of(event).get("x-api-key") or "")
    api, stage = event["methodArn"].split("/")[:2]
    found = {}
    if caller:
        found = {
            "client_id": caller.client_id,
            "session_id": caller.session_id or "",
            "return_origins": " ".join(caller.return_origins),
        }
        if caller.invite:
            found["invite"] = str(caller.invite)
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if caller else "Deny",
        "Resource": f"{api}/{stage}/*",
    }
    return {
        # The access log names who called: a client, or the session whose invite link it was.
        "principalId": (caller.session_id or caller.client_id) if caller else "unknown",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": found,
    }
