"""Files on their way to us: upload forms, stored objects, downloads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A presigned POST: the URL and the fields to send before the file. ``expires_at`` in epoch seconds."""

    url: str
    fields: dict[str, str]
    expires_at: float


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An object that is in the upload bucket. ``stored_at`` in epoch seconds."""

    version_id: str | None
    size_bytes: int
    stored_at: float


@dataclass(frozen=True, slots=True)
class Download:
    """What came of fetching a file by its URL: its ``content``, or the ``problem`` in a word that is no secret.

    ``retryable``: whether the same request may do better in a moment.
    """

    content: bytes = b""
    problem: str | None = None
    retryable: bool = False
