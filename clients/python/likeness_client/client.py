"""The API, one method for each of its routes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from os import PathLike
from types import TracebackType
from typing import BinaryIO, Self

import requests

from likeness_client.models import (
    Asset,
    Consent,
    ConsentText,
    Language,
    NewAsset,
    Page,
    Session,
    SessionStatus,
    SessionSummary,
    Start,
    Stats,
    StatsDay,
)
from likeness_client.reading import read
from likeness_client.transport import Request, Retry, Timeout, Transport
from likeness_client.uploads import Progress, send_file
from likeness_client.waiting import OnChange, Poll, wait_until

VERSION = "0.1.0"


class Client:
    """Calls Likeness at ``base_url`` (the output ``ApiUrl``) with a client key or a person's session token.

    ``timeout``: seconds to connect and to wait for an answer, or one number for both. GET, and ``create_session``, are
    repeated as ``retry`` says when the service is busy or the connection is lost; nothing else is. ``session`` may be
    a ``requests.Session`` of your own (a proxy, a CA); then you close it. Not for several threads at once.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: Timeout = (5.0, 35.0),
        session: requests.Session | None = None,
        retry: Retry | None = None,
        poll: Poll | None = None,
    ) -> None:
        self._own = session is None
        self._http = session or requests.Session()
        self._timeout = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        self._poll = poll or Poll()
        agent = f"likeness-client/{VERSION}"
        self._transport = Transport(base_url, api_key, self._http, self._timeout, retry or Retry(), agent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, unless the HTTP session is the caller's."""
        if self._own:
            self._http.close()

    def create_session(
        self,
        *,
        language: Language | None = None,
        reference: str | None = None,
        return_url: str | None = None,
        start: Start | None = None,
        consent: Consent | None = None,
        assets: Sequence[NewAsset] = (),
        idempotency_key: str | None = None,
    ) -> Session:
        """A session for one person; its links and upload forms are in this answer only.

        ``idempotency_key``: the same key with the same arguments gives the same session for a day, also to another
        process. One is made when none is given, so that a repetition never makes a second session.
        """
        body: dict[str, object] = {"language": language, "reference": reference, "return_url": return_url}
        body |= {"start": start, "assets": [each.to_json() for each in assets] or None}
        if consent:
            given_at = consent.given_at
            if given_at.tzinfo is None:
                raise ValueError("consent.given_at: a moment with its time zone")
            body["consent"] = {"text_version": consent.text_version, "given_at": given_at.isoformat()}
        body = {name: value for name, value in body.items() if value is not None}
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        if not re.fullmatch(r"[!-~][ -~]{0,254}", key):
            raise ValueError("idempotency_key: must be 1 to 255 printable ASCII characters, the first one not a space")
        return read(Session, self._transport.send(Request("POST", "/sessions", body=body, idempotency_key=key)))

    def get_session(self, session_id: str) -> Session:
        """The session as it is now. An erased one is still there, with ``erasure`` and without personal data."""
        return self._look(session_id, None)

    def list_sessions(
        self, *, status: SessionStatus | None = None, reference: str | None = None, page_size: int = 100
    ) -> Iterator[SessionSummary]:
        """All sessions of this client, newest first; pages are fetched as they are needed."""
        cursor: str | None = None
        while True:
            page = self.list_page(status=status, reference=reference, limit=page_size, cursor=cursor)
            yield from page.sessions
            cursor = page.next_cursor
            if cursor is None:
                return

    def list_page(
        self,
        *,
        status: SessionStatus | None = None,
        reference: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """One page of sessions, newest first."""
        query = _given(status=status, reference=reference, limit=str(limit), cursor=cursor)
        return read(Page, self._transport.send(Request("GET", "/sessions", query)))

    def create_attempt(self, session_id: str) -> Session:
        """The session with a fresh link in ``attempt.h5_link``, which is good for two minutes."""
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/attempts")))

    def renew_invite(self, session_id: str) -> Session:
        """The session with a fresh link in ``invite_url``; the invite links that were given out before end."""
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/invite")))

    def register_asset(self, session_id: str, asset: NewAsset) -> Asset:
        """A place for one file, with the form to ``upload`` it by.

        With ``sha256``, bytes that are in the session already give the asset that is there.
        """
        path = f"/sessions/{_id(session_id)}/assets"
        return read(Asset, self._transport.send(Request("POST", path, body=asset.to_json())))

    def upload(self, asset: Asset, file: str | PathLike[str] | BinaryIO, on_progress: Progress | None = None) -> None:
        """Sends the file (a path, or one that is open for reading bytes) by the form of an asset just registered.

        It is read while it is sent; ``on_progress`` gets the bytes sent so far and the whole size. Raises ValueError
        when the asset has no form or the file another size than registered, UploadError when the storage refuses it.
        """
        if asset.upload is None:
            raise ValueError(f"{asset.id} has no form: it is only in the answer that registered the asset")
        if isinstance(file, str | PathLike):
            with open(file, "rb") as opened:
                send_file(self._http, asset.upload, opened, asset.size_bytes, self._timeout, on_progress)
        else:
            send_file(self._http, asset.upload, file, asset.size_bytes, self._timeout, on_progress)

    def get_asset(self, session_id: str, asset_id: str) -> Asset:
        """The asset as it is now."""
        return read(Asset, self._transport.send(Request("GET", f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}")))

    def erase_session(self, session_id: str) -> Session:
        """Erases files, links and personal data; what stays is the tombstone that is returned."""
        return read(Session, self._transport.send(Request("DELETE", f"/sessions/{_id(session_id)}")))

    def erase_asset(self, session_id: str, asset_id: str) -> Asset:
        """Erases one file; ids, times and its digest stay. May be repeated."""
        path = f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}"
        return read(Asset, self._transport.send(Request("DELETE", path)))

    def consent_text(self, language: Language | None = None) -> ConsentText:
        """The text in force that people agree to."""
        return read(ConsentText, self._transport.send(Request("GET", "/consent", _given(language=language))))

    def record_consent(self, session_id: str, text: ConsentText) -> Consent:
        """Puts on record that the person has read ``text`` and agrees. The credential is the person's token."""
        body = {"text_version": text.text_version, "language": text.language, "sha256": text.sha256}
        return read(Consent, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/consent", body=body)))

    def stats(self, first: date | None = None, last: date | None = None) -> list[StatsDay]:
        """The numbers of each day from ``first`` to ``last``, both included, at most 31; by default the last 14."""
        days: list[StatsDay] = []
        period = _given(**{"from": first.isoformat() if first else None, "to": last.isoformat() if last else None})
        cursor: str | None = None
        while True:
            found = read(Stats, self._transport.send(Request("GET", "/stats", period | _given(cursor=cursor))))
            days += found.days
            cursor = found.next_cursor
            if cursor is None:
                return days

    def wait_until_verified(
        self, session_id: str, timeout: float = 900.0, on_change: OnChange | None = None
    ) -> Session:
        """The session once the person has passed, whatever became of the files.

        A failed or lapsed attempt is no end: a new link may follow. ``on_change`` gets the session when it is first
        seen and whenever it has changed. Raises WaitTimeoutError after ``timeout`` seconds, with the last session,
        and SessionEndedError for a session that was canceled or erased.
        """
        return self._wait(session_id, lambda session: session.status == "verified", timeout, on_change)

    def wait_until_settled(self, session_id: str, timeout: float = 900.0, on_change: OnChange | None = None) -> Session:
        """The session once the person has passed and each of its assets is active or failed; see the wait above."""
        return self._wait(session_id, lambda session: session.is_settled, timeout, on_change)

    def _wait(
        self, session_id: str, is_done: Callable[[Session], bool], timeout: float, on_change: OnChange | None
    ) -> Session:
        return wait_until(lambda deadline: self._look(session_id, deadline), is_done, timeout, on_change, self._poll)

    def _look(self, session_id: str, deadline: float | None) -> Session:
        return read(Session, self._transport.send(Request("GET", f"/sessions/{_id(session_id)}"), deadline))


def _id(text: str) -> str:
    """An id as a part of a path: nothing in it may lead to another route."""
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise ValueError("an id has letters, digits, _ and - only")
    return text


def _given(**query: str | None) -> dict[str, str]:
    """The parameters that have a value."""
    return {name: value for name, value in query.items() if value is not None}
