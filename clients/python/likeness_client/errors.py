"""Every error that this client raises on purpose. None holds a key, a link, a token or a presigned form.

LikenessError
├── LikenessApiError            the service said no; carries its problem document (RFC 9457)
│   ├── InvalidRequestError     400, 413: ``field`` names the place
│   ├── CredentialError         401, 403
│   ├── NotFoundError           404, also for what belongs to somebody else
│   ├── ConflictError           409
│   ├── RateLimitedError        429
│   └── UnavailableError        502, 503, 504
├── ConnectionFailedError       no answer: what was asked may have happened
├── UnexpectedAnswerError       an answer that is not the contract's
│   └── ForeignAnswerError      not the service's at all: a proxy's page, a redirect
├── UploadError                 the storage refused a file
├── SessionEndedError           waited for a session that was canceled or erased
└── WaitTimeoutError            waited long enough; also a TimeoutError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from likeness_client.models import Session


class LikenessError(Exception):
    """Base of the tree."""

    @property
    def is_passing(self) -> bool:
        """Whether the same request may do better a little later."""
        return False

    @property
    def retry_after(self) -> float | None:
        """How many seconds the service asks to wait, if it does."""
        return None


class LikenessApiError(LikenessError):
    """When the service answered with an error. ``code`` is stable; ``title`` and ``detail`` are for people.

    ``upstream_errors``: what crun lists as wrong, with ``upstream_rejected``.
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
        """Not when the service has said no; yes after a proxy's page: without a problem document it decides nothing.

        Unless that refuses the credential or the size, which nobody takes back a moment later.
        """
        return self.code == code_without_document(self.status) and self.status not in (401, 403, 413)

    @property
    def retry_after(self) -> float | None:
        """How many seconds the service asks to wait, if it does."""
        return self._retry_after

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.code}: {self.detail or self.title}{request}"


class InvalidRequestError(LikenessApiError):
    """When the request breaks the contract; ``field`` names the place."""


class CredentialError(LikenessApiError):
    """When the credential is missing, not valid, or not good for this."""


class NotFoundError(LikenessApiError):
    """When there is no such thing, or it belongs to another client."""


class ConflictError(LikenessApiError):
    """When the session's state, or an idempotency key that was used before, does not allow the request."""

    @property
    def is_passing(self) -> bool:
        """Only while the same request, sent before, is still being served; or when it was not the service's answer."""
        return self.code == "request_in_progress" or super().is_passing


class RateLimitedError(LikenessApiError):
    """When there were too many requests, or a session has used up its attempts."""

    @property
    def is_passing(self) -> bool:
        """Yes, but attempts that are used up do not come back."""
        return self.code != "too_many_attempts"


class UnavailableError(LikenessApiError):
    """When the service, or one that it depends on, does not answer at the moment."""

    @property
    def is_passing(self) -> bool:
        """Yes."""
        return True


class ConnectionFailedError(LikenessError):
    """When no whole answer came: refused, cut, or too slow. What was asked may have happened nevertheless."""

    @property
    def is_passing(self) -> bool:
        """Yes."""
        return True


class UnexpectedAnswerError(LikenessError):
    """When an answer is not what the contract says. The text names the place, never the value."""


class ForeignAnswerError(UnexpectedAnswerError):
    """When somebody else answered: a proxy's page, a redirect. What was asked may have happened nevertheless."""

    @property
    def is_passing(self) -> bool:
        """Yes."""
        return True


class UploadError(LikenessError):
    """When the storage refused a file; ``code`` is S3's own word, such as EntityTooLarge."""

    def __init__(self, status: int, code: str | None = None) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code

    def __str__(self) -> str:
        return f"the storage refused the file: {self.status} {self.code or ''}".rstrip()


class SessionEndedError(LikenessError):
    """When what is waited for cannot come any more; ``session`` is as it was seen last."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session

    def __str__(self) -> str:
        return f"{self.session.id} is {self.session.status}"


class WaitTimeoutError(LikenessError, TimeoutError):
    """When it took too long; ``session`` is as it was seen last, or None when it was never seen."""

    message: ClassVar[str] = "it did not come in time"

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
    """The code of an answer without a problem document: it is not the service that gave it."""
    return f"http_{status}"


def error_class(status: int) -> type[LikenessApiError]:
    """The class of the tree for an HTTP status; the base for one that has none of its own."""
    return _BY_STATUS.get(status, LikenessApiError)
