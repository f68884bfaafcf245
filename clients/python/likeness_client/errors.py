"""The errors of this client. None contains a key, a link, a token or a presigned form.

LikenessError
├── LikenessApiError            an error response, with its problem document (RFC 9457)
│   ├── InvalidRequestError     400, 413; ``field`` names the invalid field
│   ├── CredentialError         401, 403
│   ├── BudgetExhaustedError    402, the credits of this day do not suffice
│   ├── NotFoundError           404, also for resources of another client
│   ├── ConflictError           409
│   ├── RateLimitedError        429
│   └── UnavailableError        502, 503, 504
├── ConnectionFailedError       no response: the request may have taken effect
├── UnexpectedAnswerError       a response that does not match the contract
│   └── ForeignAnswerError      a response from something else: a proxy's page, a redirect
├── UploadError                 the storage refused a file
├── DownloadError               a file of a generation cannot be had, or is damaged
├── SessionEndedError           the awaited session was canceled or erased
├── GenerationEndedError        the awaited generation has ended without a video
└── WaitTimeoutError            the wait took too long; also a TimeoutError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from likeness_client.models import Generation, Session


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

    ``upstream_errors`` are crun's messages, with the code ``upstream_rejected``. ``asset_id`` is the asset that a
    generation may not use; ``field`` is its place.
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
        asset_id: str | None = None,
    ) -> None:
        super().__init__(status, code, title, detail, field, request_id, retry_after, upstream_errors, asset_id)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.field = field
        self.request_id = request_id
        self.upstream_errors = upstream_errors
        self.asset_id = asset_id
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


class BudgetExhaustedError(LikenessApiError):
    """When the estimate is more than what is left of the client's credits of this UTC day. Nothing was reserved."""


class NotFoundError(LikenessApiError):
    """When the resource does not exist, or belongs to another client."""


class ConflictError(LikenessApiError):
    """When the state of a session or a generation, or an idempotency key that was used before, forbids the request."""

    @property
    def is_passing(self) -> bool:
        """True when the service says when to repeat it: while an identical request is being processed, for example.

        Also without a problem document.
        """
        return self.code == "request_in_progress" or self.retry_after is not None or super().is_passing


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


class DownloadError(LikenessError):
    """When a file of a generation cannot be had; ``code`` says why.

    It is a code of ``MediaProblem``, ``no_media`` for a generation without files, ``wrong_content`` for a file that
    does not match its digest, or S3's code, such as AccessDenied for a URL that has expired.
    """

    def __init__(self, code: str, status: int | None = None) -> None:
        super().__init__(code, status)
        self.code = code
        self.status = status

    def __str__(self) -> str:
        return f"the file cannot be downloaded: {self.status or ''} {self.code}".replace(":  ", ": ")


class SessionEndedError(LikenessError):
    """When a wait cannot succeed any more; ``session`` is the last state."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session

    def __str__(self) -> str:
        return f"{self.session.id} is {self.session.status}"


class GenerationEndedError(LikenessError):
    """When a generation has ended without a video; ``generation`` is its last state, and its ``error`` the reason."""

    def __init__(self, generation: Generation) -> None:
        super().__init__(generation)
        self.generation = generation

    def __str__(self) -> str:
        error = self.generation.error
        why = f" ({error.code}: {error.message})" if error else ""
        return f"{self.generation.id} is {self.generation.status}{why}"


class WaitTimeoutError(LikenessError, TimeoutError):
    """When a wait takes too long.

    ``session`` or ``generation`` is the last state; both are None when there was no response.
    """

    message: ClassVar[str] = "the wait timed out"

    def __init__(self, session: Session | None = None, generation: Generation | None = None) -> None:
        super().__init__(session, generation)
        self.session = session
        self.generation = generation

    def __str__(self) -> str:
        last = self.session or self.generation
        return f"{self.message}: {last.id} is {last.status}" if last else self.message


_BY_STATUS: dict[int, type[LikenessApiError]] = {
    400: InvalidRequestError,
    401: CredentialError,
    402: BudgetExhaustedError,
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
