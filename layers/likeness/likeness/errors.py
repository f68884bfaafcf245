"""Every error that Likeness raises on purpose.

LikenessError
├── RequestError                    the caller's fault: 4xx
│   ├── InvalidRequest              400, names the field
│   ├── NotFound                    404, also for what belongs to somebody else
│   ├── Forbidden                   403
│   ├── Conflict                    409
│   └── TooManyAttempts             429
├── UpstreamError                   crun did not do what was asked
│   ├── UpstreamRefused             it said no; asking again does not help
│   ├── UpstreamDeferred            it certainly did not happen; ask again later
│   └── UpstreamAmbiguous           it may have happened
│       └── UpstreamIncomplete      a success without what was promised
├── StorageUnavailable              503, AWS did not answer
├── WorkInProgress                  somebody else holds the work; come back
└── ConditionFailed                 a conditional write found another state (never leaves a step)
"""

from __future__ import annotations

from collections.abc import Sequence


class LikenessError(Exception):
    """Base of the tree. ``status`` and ``code`` are what an HTTP caller gets."""

    status = 500
    code = "internal_error"
    title = "Something went wrong on our side"

    def __init__(self, message: str = "", *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.field = field
        self.retry_after = retry_after


class RequestError(LikenessError):
    """When the caller has to change something before trying again."""

    status = 400
    code = "bad_request"
    title = "The request cannot be served"


class InvalidRequest(RequestError):
    """When a body, a query or a header breaks the contract; ``field`` names the place."""

    code = "invalid_request"
    title = "The request is not valid"


class NotFound(RequestError):
    """When the thing does not exist, or belongs to another client."""

    status = 404
    code = "not_found"
    title = "There is no such thing"


class Forbidden(RequestError):
    """When the credential is good but not for this."""

    status = 403
    code = "forbidden"
    title = "This credential does not allow that"


class Conflict(RequestError):
    """When the state of the session, or an idempotency key, does not allow the request."""

    status = 409
    code = "conflict"
    title = "The request does not fit the present state"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        if code:
            self.code = code


class TooManyAttempts(RequestError):
    """When a session has used up its attempts or assets."""

    status = 429
    code = "too_many_attempts"
    title = "No attempts are left in this session"


class UpstreamError(LikenessError):
    """When crun did not do what it was asked; ``upstream_code`` is its own figure, if it gave one.

    ``retry_after`` is what our caller is told, ``asked_to_wait`` what crun itself has asked for, if it did: seconds.
    """

    status = 503
    code = "upstream_unavailable"
    title = "The validation service does not answer; try again later"

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


# crun's refusals, and what our caller is told of each (source: the code list of crun's page).
_REFUSALS: dict[int, tuple[int, str, str]] = {
    401: (503, "upstream_key_rejected", "The validation service does not accept our key"),
    402: (503, "upstream_credits_exhausted", "The account at the validation service has no credits left"),
    403: (503, "upstream_key_disabled", "Our key is disabled at the validation service"),
    404: (502, "upstream_not_found", "The validation service does not know what was asked for"),
    422: (502, "upstream_rejected", "The validation service rejected the request"),
    501: (502, "upstream_failed", "The validation service could not do it"),
    505: (503, "upstream_disabled", "This feature is disabled at the validation service"),
}

#: Refusals that concern the account, not the person: somebody has to act (see docs/operations.md).
ACCOUNT_REFUSALS = frozenset({401, 402, 403, 505})


class UpstreamRefused(UpstreamError):
    """When crun said no: 401, 402, 403, 404, 422, 501, 505, or a code nobody has documented.

    ``errors`` is what crun lists with a 422: short lines, without anything that we have sent.
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


class UpstreamDeferred(UpstreamError):
    """When the request certainly did not happen: 429, 455, or no connection."""

    code = "upstream_deferred"


class RateLimited(UpstreamDeferred):
    """When our own rate limiter, or crun's limit, has no permit left in this window."""

    status = 429
    code = "rate_limited"
    title = "Too many requests at the moment; try again shortly"


class UpstreamAmbiguous(UpstreamError):
    """When the request may have happened: a lost answer, 5xx, 408, or an answer that is not crun's envelope."""

    code = "upstream_ambiguous"


class UpstreamIncomplete(UpstreamAmbiguous):
    """When crun says that it succeeded, and leaves out what it promised."""


class StorageUnavailable(LikenessError):
    """When DynamoDB, SQS, S3, Step Functions or Secrets Manager did not do what was asked."""

    status = 503
    code = "storage_unavailable"
    title = "A service we depend on does not answer; try again shortly"


class WorkInProgress(LikenessError):
    """When another execution holds the look-up of the same attempt."""

    status = 409
    code = "work_in_progress"


class ConditionFailed(LikenessError):
    """When a conditional write found another state than it expected."""

    status = 409
    code = "conflict"
