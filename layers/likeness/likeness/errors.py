"""Every error that Likeness raises on purpose.

LikenessError
├── RequestError                    4xx, the request has to change
│   ├── InvalidRequest              400, names the field
│   ├── BudgetExhausted             402, the client's credits of the day do not suffice
│   ├── NotFound                    404, also for a resource of another client
│   │   ├── NoPreview               404, an asset without a picture that browsers show
│   │   └── AssetNotFound           404, an asset that a generation's input names
│   ├── Forbidden                   403
│   │   ├── InvalidCredential       403, like a credential that the authorizer does not know
│   │   └── GenerationDisabled      403, the operator has not switched generation on
│   ├── Conflict                    409
│   └── TooManyAttempts             429
├── UpstreamError                   a request to crun failed
│   ├── UpstreamRefused             crun refused it; a retry does not help
│   │   ├── InputRejected           400, crun refused to estimate the caller's input, and lists its errors
│   │   └── TaskRefused             crun refused to create a task; the message is crun's
│   ├── UpstreamDeferred            crun did not process it; retry later
│   │   └── RateLimited             429, a rate limit is reached; retry later
│   └── UpstreamAmbiguous           crun may have processed it
│       └── UpstreamIncomplete      crun reported success, but left out a promised value
├── StorageUnavailable              503, an AWS service did not respond
├── MediaNotFetched                 503, a result's link did not work; retry later
├── WorkInProgress                  another execution does the work; retry later
└── ConditionFailed                 the condition of a conditional write was not met (never leaves a step)
"""

from __future__ import annotations

from collections.abc import Sequence


class LikenessError(Exception):
    """The base of all errors. An HTTP response has ``status``, ``code`` and ``title``.

    ``asset_id`` names the asset whose use is refused.
    """

    status = 500
    code = "internal_error"
    title = "Internal server error"

    def __init__(self, message: str = "", *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.field = field
        self.retry_after = retry_after
        self.asset_id: str | None = None


class RequestError(LikenessError):
    """When the caller has to change the request before a retry."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class InvalidRequest(RequestError):
    """When a body, query or header violates the contract; ``field`` names the place."""

    code = "invalid_request"
    title = "The request is not valid"


class BudgetExhausted(RequestError):
    """When the estimate of a generation is more than what is left of the client's budget for the UTC day."""

    status = 402
    code = "budget_exhausted"
    title = "The client's budget of this day is exhausted"

    def __init__(self, estimate: float, left: float) -> None:
        wanted, kept = (f"{round(each, 2):.12g}" for each in (estimate, left))
        super().__init__(f"The estimate is {wanted} credits, and {kept} are left of the client's budget of this day")


class NotFound(RequestError):
    """When the resource does not exist, or belongs to another client."""

    status = 404
    code = "not_found"
    title = "Not found"


class NoPreview(NotFound):
    """When an asset has no picture that browsers show."""

    code = "no_preview"


class AssetNotFound(NotFound):
    """When an asset in a generation's input does not exist, or belongs to another client; ``field`` names the place."""

    code = "asset_not_found"


class Forbidden(RequestError):
    """When the credential is valid, but does not permit this request."""

    status = 403
    code = "forbidden"
    title = "The credential does not have permission for this request"


class InvalidCredential(Forbidden):
    """When a receipt was revoked or replaced, or is of another session: the same problem as API Gateway's."""

    title = "The credential is not valid"


class GenerationDisabled(Forbidden):
    """When the deployment's parameter ``Generation`` is off."""

    code = "generation_disabled"
    title = "Generation is switched off"


class Conflict(RequestError):
    """When the request conflicts with the state of the session, or with an idempotency key.

    For a likeness that may not be used, ``field`` and ``asset_id`` name the place.
    """

    status = 409
    code = "conflict"
    title = "The request conflicts with the current state of the resource"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        retry_after: int | None = None,
        field: str | None = None,
        asset_id: str | None = None,
    ) -> None:
        super().__init__(message, field=field, retry_after=retry_after)
        if code:
            self.code = code
        self.asset_id = asset_id


class TooManyAttempts(RequestError):
    """When a session has reached its limit of attempts or assets."""

    status = 429
    code = "too_many_attempts"
    title = "Session limit exceeded"


class UpstreamError(LikenessError):
    """When a request to crun failed. ``upstream_code`` is crun's code, if it returned one.

    Both in seconds: ``retry_after`` goes to the caller, ``asked_to_wait`` is the Retry-After of crun, if it sent one.
    """

    status = 503
    code = "upstream_unavailable"
    title = "The validation service is unavailable; try again later"

    def __init__(
        self,
        message: str = "",
        *,
        upstream_code: int | None = None,
        retry_after: int | None = None,
        asked_to_wait: int | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.upstream_code = upstream_code
        self.asked_to_wait = asked_to_wait


# Status, code and title of the response to each of crun's refusals (source: the code list in crun's documentation).
_REFUSALS: dict[int, tuple[int, str, str]] = {
    401: (503, "upstream_key_rejected", "The validation service rejected our API key"),
    402: (503, "upstream_credits_exhausted", "The account at the validation service has no credits left"),
    403: (503, "upstream_key_disabled", "The validation service has disabled our API key"),
    404: (502, "upstream_not_found", "The validation service did not find the requested resource"),
    422: (502, "upstream_rejected", "The validation service rejected the request"),
    501: (502, "upstream_failed", "The validation service could not process the request"),
    505: (503, "upstream_disabled", "The validation service has disabled this feature"),
}

#: Refusals that concern the account, not the person: an operator has to act (see docs/operations.md).
ACCOUNT_REFUSALS = frozenset({401, 402, 403, 505})


class UpstreamRefused(UpstreamError):
    """When crun refused the request: 401, 402, 403, 404, 422, 501, 505, or an undocumented code.

    ``errors`` are the lines that crun lists with a 422, shortened and without any value of the request.
    """

    def __init__(self, upstream_code: int, detail: str = "", errors: Sequence[str] = ()) -> None:
        status, code, title = _REFUSALS.get(
            upstream_code, (502, "upstream_refused", "The validation service refused the request")
        )
        super().__init__(
            title, upstream_code=upstream_code, retry_after=300 if upstream_code in ACCOUNT_REFUSALS else None
        )
        self.status, self.code, self.title = status, code, title
        self.detail = detail
        self.errors = tuple(errors)


class InputRejected(UpstreamRefused):
    """When crun refused to estimate a generation (422). The caller has to change the input."""

    def __init__(self, errors: Sequence[str] = ()) -> None:
        super().__init__(422, errors=errors)
        self.status, self.title, self.field = 400, "crun rejected the input", "input"
        self.message = self.title


class TaskRefused(UpstreamRefused):
    """When crun refused to create a task. Its words, for example of a moderation, are for the caller."""

    def __init__(self, upstream_code: int, words: str | None) -> None:
        super().__init__(upstream_code, words or "", words.split("; ") if words else ())
        self.message = words or self.message


class UpstreamDeferred(UpstreamError):
    """When crun certainly did not process the request: 429, 455, or no connection."""

    code = "upstream_deferred"


class RateLimited(UpstreamDeferred):
    """When our rate limiter has no permit left, or crun responded with 429."""

    status = 429
    code = "rate_limited"
    title = "Too many requests; try again shortly"


class UpstreamAmbiguous(UpstreamError):
    """When crun may have processed the request: no response, 5xx, 408, or a response without crun's envelope."""

    code = "upstream_ambiguous"


class UpstreamIncomplete(UpstreamAmbiguous):
    """When crun reports success, but the response lacks a promised value."""


class StorageUnavailable(LikenessError):
    """When a request to DynamoDB, SQS, S3, Step Functions or Secrets Manager failed."""

    status = 503
    code = "storage_unavailable"
    title = "A service that Likeness depends on is unavailable; try again shortly"


class MediaNotFetched(LikenessError):
    """When a result's link does not work at the moment: a timeout, a lost connection, a server's error."""

    status = 503
    code = "media_not_fetched"
    title = "The media cannot be fetched at the moment; try again shortly"


class WorkInProgress(LikenessError):
    """When another execution does the same work at the moment."""

    status = 409
    code = "work_in_progress"


class ConditionFailed(LikenessError):
    """When the condition of a conditional write was not met."""

    status = 409
    code = "conflict"
