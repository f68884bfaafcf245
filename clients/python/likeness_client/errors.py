"""The errors of this client. None contains a key, a link, a token or a presigned form.

LikenessError
├── LikenessApiError            an error response, with its problem document (RFC 9457)
│   ├── InvalidRequestError     400, 413; ``field`` names the invalid field
│   ├── CredentialError         401, 403
│   ├── NotFoundError           404, also for resources of another client
│   ├── ConflictError           409
│   ├── RateLimitedError        429
│   └── UnavailableError        502, 503, 504
├── ConnectionFailedError       no response: the request may have taken effect
├── UnexpectedAnswerError       a response that does not match the contract
│   └── ForeignAnswerError      a response from something else: a proxy's page, a redirect
├── UploadError                 the storage refused a file
├── SessionEndedError           the awaited session was canceled or erased
└── WaitTimeoutError            the wait took too long; also a TimeoutError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from likeness_client.models import Session


class LikenessError(Exception):
    """Base class of all errors of this client."""

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return False

    @property
    def retry_after(self) -> float | None:
        """The seconds of Retry-After, or None."""
        return None


class LikenessApiError(LikenessError):
    """When the service returns an error. ``code`` is stable; ``title`` and ``detail`` are for people.

    ``upstream_errors`` are crun's messages, with the code ``upstream_rejected``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        field: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        upstream_errors: tuple[str, ...] = (),
    ) -> None:
        super().__init__(status, code, title, detail, field, request_id, retry_after, upstream_errors)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.field = field
        self.request_id = request_id
        self.upstream_errors = upstream_errors
        self._retry_after = retry_after

    @property
    def is_passing(self) -> bool:
        """True only without a problem document, for example a proxy's page, which is not the service's decision.

        It is False when such a response refuses the credential or the size (401, 403, 413).
        """
        return self.code == code_without_document(self.status) and self.status not in (401, 403, 413)

    @property
    def retry_after(self) -> float | None:
        """The seconds of Retry-After, or None."""
        return self._retry_after

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.code}: {self.detail or self.title}{request}"


class InvalidRequestError(LikenessApiError):
    """When the request is invalid; ``field`` names the invalid field."""


class CredentialError(LikenessApiError):
    """When the credential is missing or not valid, or lacks permission."""


class NotFoundError(LikenessApiError):
    """When the resource does not exist, or belongs to another client."""


class ConflictError(LikenessApiError):
    """When the session's state, or an idempotency key that was used before, does not allow the request."""

    @property
    def is_passing(self) -> bool:
        """True while an earlier, identical request is being processed, or without a problem document."""
        return self.code == "request_in_progress" or super().is_passing


class RateLimitedError(LikenessApiError):
    """When there are too many requests, or a session has used up its attempts."""

    @property
    def is_passing(self) -> bool:
        """True, except when a session has used up its attempts."""
        return self.code != "too_many_attempts"


class UnavailableError(LikenessApiError):
    """When the service, or one that it depends on, is temporarily unavailable."""

    @property
    def is_passing(self) -> bool:
        """True."""
        return True


class ConnectionFailedError(LikenessError):
    """When there is no complete response: refused, cut, or too slow. The request may still have taken effect."""

    @property
    def is_passing(self) -> bool:
        """True."""
        return True


class UnexpectedAnswerError(LikenessError):
    """When a response does not match the contract. The text names the field, never its value."""


class ForeignAnswerError(UnexpectedAnswerError):
    """When the response is not the service's: a proxy's page, a redirect. The request may still have taken effect."""

    @property
    def is_passing(self) -> bool:
        """True."""
        return True


class UploadError(LikenessError):
    """When the storage refused a file; ``code`` is S3's code, such as EntityTooLarge."""

    def __init__(self, status: int, code: str | None = None) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code

    def __str__(self) -> str:
        return f"the storage refused the file: {self.status} {self.code or ''}".rstrip()


class SessionEndedError(LikenessError):
    """When a wait cannot succeed any more; ``session`` is the last state."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session

    def __str__(self) -> str:
        return f"{self.session.id} is {self.session.status}"


class WaitTimeoutError(LikenessError, TimeoutError):
    """When a wait takes too long; ``session`` is the last state, or None when there was no response."""

    message: ClassVar[str] = "the wait timed out"

    def __init__(self, session: Session | None) -> None:
        super().__init__(session)
        self.session = session

    def __str__(self) -> str:
        return f"{self.message}: {self.session.id} is {self.session.status}" if self.session else self.message


_BY_STATUS: dict[int, type[LikenessApiError]] = {
    400: InvalidRequestError,
    401: CredentialError,
    403: CredentialError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    429: RateLimitedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def code_without_document(status: int) -> str:
    """Returns the code for a response without a problem document, which is not from the service."""
    return f"http_{status}"


def error_class(status: int) -> type[LikenessApiError]:
    """Returns the error class for an HTTP status; LikenessApiError for a status without its own class."""
    return _BY_STATUS.get(status, LikenessApiError)
