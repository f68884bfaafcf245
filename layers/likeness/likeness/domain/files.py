"""Upload forms, stored objects and downloads."""

from __future__ import annotations

from typing import NamedTuple


class UploadForm(NamedTuple):
    """A presigned POST: the URL and the fields to send before the file. ``expires_at`` in epoch seconds."""

    url: str
    fields: dict[str, str]
    expires_at: float


class FoundFile(NamedTuple):
    """An object in the upload bucket. ``stored_at`` in epoch seconds."""

    version_id: str | None
    size_bytes: int
    stored_at: float


class Download(NamedTuple):
    """The result of a download: its ``content``, or the ``problem`` as a code without secrets.

    ``retryable``: whether the same request may succeed later.
    """

    content: bytes = b""
    problem: str | None = None
    retryable: bool = False
