"""The client, with one method for each route of the API."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self
from urllib.parse import quote

import requests

from likeness_client.downloads import Downloader
from likeness_client.errors import DownloadError
from likeness_client.models import (
    Asset,
    ClientKey,
    ClientKeys,
    Consent,
    ConsentDeclined,
    ConsentTerms,
    ConsentText,
    FileRequest,
    Generation,
    GenerationEstimate,
    GenerationPage,
    GenerationStatus,
    GenerationSummary,
    Language,
    LedgerUse,
    Media,
    NewAsset,
    Page,
    PersonalPage,
    Preview,
    Receipt,
    Receipts,
    Session,
    SessionConsent,
    SessionStatus,
    SessionSummary,
    Start,
    Stats,
    StatsDay,
    Use,
    UsePage,
    UseResult,
    UseResults,
    ValidReceipt,
    Webhook,
    WebhookReplay,
    Webhooks,
    WebhookTest,
)
from likeness_client.reading import read, read_object
from likeness_client.transport import Request, Retry, Timeout, Transport
from likeness_client.uploads import Progress, send_file
from likeness_client.waiting import OnChange, OnGenerationChange, Poll, wait_until

VERSION = "0.1.0"


class Client:
    """Calls Likeness at ``base_url`` (the output ``ApiUrl``) with a client key or a person's session token.

    ``timeout``: seconds to connect and to wait for a response, or one number for both. ``retry`` applies to GET,
    ``create_session`` and ``generate``, when the service is busy or the connection is lost; other requests are not
    retried. ``session`` may be your own ``requests.Session`` (a proxy, a CA), which you close yourself. A client is not
    thread-safe.
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
        retry = retry or Retry()
        agent = f"likeness-client/{VERSION}"
        self._transport = Transport(base_url, api_key, self._http, self._timeout, retry, agent)
        self._downloader = Downloader(self._http, self._timeout, retry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections, unless you have passed your own HTTP session."""
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
        consent_terms: ConsentTerms | None = None,
        assets: Sequence[NewAsset] = (),
        requests: Sequence[FileRequest] = (),
        idempotency_key: str | None = None,
    ) -> Session:
        """Creates a session for one person. Only this response contains its links and upload forms.

        ``assets`` are files that you have, ``requests`` files that the person's page asks for. ``consent_terms`` are
        what the person is asked to agree to, or with ``consent`` or ``start="now"`` what the person has agreed to.

        ``idempotency_key``: for a day, the same key with the same arguments returns the same session, also to other
        processes. Without one, the client generates a key, so that its retries never create a second session.
        """
        body: dict[str, object] = {"language": language, "reference": reference, "return_url": return_url}
        body |= {"start": start, "assets": [each.to_json() for each in assets] or None}
        body["requests"] = [each.to_json() for each in requests] or None
        if consent:
            given_at = consent.given_at
            if given_at.tzinfo is None:
                raise ValueError("consent.given_at must have a time zone")
            body["consent"] = {"text_version": consent.text_version, "given_at": given_at.isoformat()}
        body["consent_terms"] = consent_terms.to_json() if consent_terms else None
        body = {name: value for name, value in body.items() if value is not None}
        key = _key(idempotency_key)
        return read(Session, self._transport.send(Request("POST", "/sessions", body=body, idempotency_key=key)))

    def get_session(self, session_id: str, *, consent_text: Language | Literal["session"] | None = None) -> Session:
        """Returns the session. An erased session still exists, with ``erasure`` and without personal data.

        ``consent_text`` is a language, or ``session`` for the session's: the session then also has the text that the
        person has yet to agree to.
        """
        return self._read_session(session_id, None, _given(consent_text=consent_text))

    def list_sessions(
        self,
        *,
        status: SessionStatus | None = None,
        reference: str | None = None,
        reference_contains: str | None = None,
        asset_id: str | None = None,
        group_id: str | None = None,
        created_from: date | datetime | None = None,
        created_to: date | datetime | None = None,
        page_size: int = 100,
    ) -> Iterator[SessionSummary]:
        """Yields this client's sessions, newest first; it requests pages as needed. Filters combine.

        ``asset_id`` is Likeness's or crun's, ``group_id`` is crun's. A date is a whole UTC day, and a datetime must
        have a time zone.
        """
        cursor: str | None = None
        while True:
            page = self.list_page(
                status=status,
                reference=reference,
                reference_contains=reference_contains,
                asset_id=asset_id,
                group_id=group_id,
                created_from=created_from,
                created_to=created_to,
                limit=page_size,
                cursor=cursor,
            )
            yield from page.sessions
            cursor = page.next_cursor
            if cursor is None:
                return

    def list_page(
        self,
        *,
        status: SessionStatus | None = None,
        reference: str | None = None,
        reference_contains: str | None = None,
        asset_id: str | None = None,
        group_id: str | None = None,
        created_from: date | datetime | None = None,
        created_to: date | datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Returns one page of sessions, newest first. For the filters, see ``list_sessions``."""
        query = _given(
            status=status,
            reference=reference,
            reference_contains=reference_contains,
            asset_id=asset_id,
            group_id=group_id,
            created_from=_day_or_time("created_from", created_from),
            created_to=_day_or_time("created_to", created_to),
            limit=str(limit),
            cursor=cursor,
        )
        return read(Page, self._transport.send(Request("GET", "/sessions", query)))

    def create_attempt(self, session_id: str) -> Session:
        """Creates an attempt. Returns the session with a link in ``attempt.h5_link`` that is valid for two minutes."""
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/attempts")))

    def renew_invite(self, session_id: str) -> Session:
        """Returns the session with a new link in ``invite_url``; earlier invite links become invalid."""
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/invite")))

    def revoke_invite(self, session_id: str) -> Session:
        """Invalidates the session's invite links, without a new one. Can be repeated."""
        return read(Session, self._transport.send(Request("DELETE", f"/sessions/{_id(session_id)}/invite")))

    def register_asset(self, session_id: str, asset: NewAsset) -> Asset:
        """Registers one file, and returns its asset with the form for ``upload``.

        With ``sha256``, it returns the existing asset when the session already has a file with the same bytes.
        """
        path = f"/sessions/{_id(session_id)}/assets"
        return read(Asset, self._transport.send(Request("POST", path, body=asset.to_json())))

    def upload(self, asset: Asset, file: str | PathLike[str] | BinaryIO, on_progress: Progress | None = None) -> None:
        """Uploads a file (a path, or a file opened in binary mode) with the form of a newly registered asset.

        The file is streamed; ``on_progress`` receives the bytes sent so far and the total. Raises ValueError when the
        asset has no form or the size differs from the registered one, and UploadError when the storage refuses it.
        """
        if asset.upload is None:
            raise ValueError(f"{asset.id} has no form: only the response of its registration contains it")
        if isinstance(file, str | PathLike):
            with open(file, "rb") as opened:
                send_file(self._http, asset.upload, opened, asset.size_bytes, self._timeout, on_progress)
        else:
            send_file(self._http, asset.upload, file, asset.size_bytes, self._timeout, on_progress)

    def add_requests(self, session_id: str, requests: Sequence[FileRequest]) -> Session:
        """Asks the person for further files, and returns the session. The same requests again change nothing."""
        body = {"requests": [each.to_json() for each in requests]}
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/requests", body=body)))

    def withdraw_request(self, session_id: str, name: str) -> Session:
        """Withdraws a file request that has no file yet, and returns the session."""
        if name in ("", ".", "..") or "/" in name:
            raise ValueError("a file request cannot have this name")
        path = f"/sessions/{_id(session_id)}/requests/{quote(name, safe='')}"
        return read(Session, self._transport.send(Request("DELETE", path)))

    def finish_session(self, session_id: str) -> Session:
        """Records that the person has nothing more to send, and returns the session. Can be repeated."""
        return read(Session, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/finish")))

    def get_asset(self, session_id: str, asset_id: str) -> Asset:
        """Returns the asset."""
        return read(Asset, self._transport.send(Request("GET", f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}")))

    def preview(self, session_id: str, asset_id: str) -> Preview:
        """Returns a link that shows a picture for five minutes.

        Raises NotFoundError with the code ``no_preview`` for a file that is no picture, or is not checked yet.
        """
        path = f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}/preview"
        return read(Preview, self._transport.send(Request("GET", path)))

    def erase_session(self, session_id: str) -> Session:
        """Erases files, links and personal data, and returns the remaining tombstone."""
        return read(Session, self._transport.send(Request("DELETE", f"/sessions/{_id(session_id)}")))

    def retry_asset(self, session_id: str, asset_id: str) -> Asset:
        """Submits the file of a failed asset to crun again, if its ``error`` is retryable. Can be repeated.

        Raises ConflictError with the code ``not_retryable`` or ``file_deleted`` when that is not possible.
        """
        path = f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}/retry"
        return read(Asset, self._transport.send(Request("POST", path)))

    def erase_asset(self, session_id: str, asset_id: str) -> Asset:
        """Erases one file; its ids, times and digest stay. Can be repeated."""
        path = f"/sessions/{_id(session_id)}/assets/{_id(asset_id)}"
        return read(Asset, self._transport.send(Request("DELETE", path)))

    def consent_text(self, language: Language | None = None, terms: ConsentTerms | None = None) -> ConsentText:
        """Returns the current consent text, with sentences that name ``terms``: a session's ``consent_terms``."""
        asked = terms.to_json() if terms else {}
        query = _given(
            language=language,
            purposes=",".join(terms.purposes) if terms and terms.purposes else None,
            valid_until=str(asked["valid_until"]) if "valid_until" in asked else None,
            valid_days=str(asked["valid_days"]) if "valid_days" in asked else None,
        )
        return read(ConsentText, self._transport.send(Request("GET", "/consent", query)))

    def record_consent(self, session_id: str, text: ConsentText) -> Consent:
        """Records that the person has read ``text`` and agrees. The credential must be the person's token."""
        body = {"text_version": text.text_version, "language": text.language, "sha256": text.sha256}
        return read(Consent, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/consent", body=body)))

    def decline_consent(self, session_id: str) -> ConsentDeclined:
        """Records that the person does not agree. The credential must be the person's token. Can be repeated."""
        path = f"/sessions/{_id(session_id)}/consent/decline"
        return read(ConsentDeclined, self._transport.send(Request("POST", path)))

    def withdraw_consent(self, session_id: str) -> SessionConsent:
        """Withdraws the consent: nothing more is sent to crun, and no use is allowed. Can be repeated.

        After the person's own withdrawal, only the person can give another consent.
        """
        path = f"/sessions/{_id(session_id)}/consent/withdraw"
        return read(SessionConsent, self._transport.send(Request("POST", path)))

    def issue_receipt(self, session_id: str) -> Receipt:
        """Creates a personal link: with a client key, one of the client's own; with a person's credential, theirs.

        It leads to the person's page, which withdraws and erases. An earlier link of the same side ends; the successor
        of a receipt ends it when it is first opened.
        """
        return read(Receipt, self._transport.send(Request("POST", f"/sessions/{_id(session_id)}/receipt")))

    def consent_receipt(self, session_id: str) -> dict[str, object]:
        """Returns the receipt of the consent as JSON-LD, by the W3C guide for ISO/IEC TS 27560."""
        return read_object(self._transport.send(Request("GET", f"/sessions/{_id(session_id)}/receipt")))

    def revoke_receipt(self, session_id: str) -> tuple[ValidReceipt, ...]:
        """Ends the personal link of the credential's side, and returns those that work. Can be repeated."""
        return read(Receipts, self._transport.send(Request("DELETE", f"/sessions/{_id(session_id)}/receipt"))).receipts

    def open_receipt(self, language: Language | None = None) -> PersonalPage:
        """Returns what the page of a personal link shows. The credential must be the receipt, ``rt_…``."""
        return read(PersonalPage, self._transport.send(Request("GET", "/receipt", _given(language=language))))

    def set_consent_terms(self, session_id: str, terms: ConsentTerms) -> SessionConsent:
        """Asks the person for a consent to other terms; the earlier consent holds until then."""
        path = f"/sessions/{_id(session_id)}/consent_terms"
        return read(SessionConsent, self._transport.send(Request("PUT", path, body=terms.to_json())))

    def check_use(self, session_id: str, purpose: str | None = None) -> Use:
        """Returns the active assets if they may be used for ``purpose`` (by default, your key's). Ask before each use.

        Raises ConflictError with the reason as its code, such as ``consent_withdrawn`` or ``purpose_not_covered``.
        """
        path = f"/sessions/{_id(session_id)}/use"
        return read(Use, self._transport.send(Request("GET", path, _given(purpose=purpose))))

    def check_uses(self, ids: Sequence[str], purpose: str | None = None) -> tuple[UseResult, ...]:
        """Returns a result for each of at most 50 ids of sessions or assets, or ``asset://`` ids."""
        body: dict[str, object] = {"ids": list(ids)} | ({"purpose": purpose} if purpose is not None else {})
        return read(UseResults, self._transport.send(Request("POST", "/use-checks", body=body))).results

    def uses(self, session_id: str, page_size: int = 100) -> Iterator[LedgerUse]:
        """Yields what the person's likeness was used for, newest first; it requests pages as needed.

        A person's credential reads it too.
        """
        path, cursor = f"/sessions/{_id(session_id)}/uses", None
        while True:
            query = _given(limit=str(page_size), cursor=cursor)
            page = read(UsePage, self._transport.send(Request("GET", path, query)))
            yield from page.uses
            cursor = page.next_cursor
            if cursor is None:
                return

    def generate(
        self,
        *,
        model: str,
        input: Mapping[str, object],  # noqa: A002 - crun's word
        purpose: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> Generation:
        """Asks for a video, and returns its generation, which has not ended yet. See ``wait_until_generated``.

        ``input`` is crun's own input of the model, with ``asset://`` ids, or Likeness's ids of assets, where crun takes
        a file. ``purpose`` is by default your key's.

        ``idempotency_key``: the same key with the same arguments returns the same generation, also to other processes.
        Without one, the client generates a key, so that its retries never make a second video.

        Raises ConflictError, with the ``field`` and the ``asset_id`` of a likeness that may not be used and the reason
        as its code; NotFoundError for an asset that does not exist, BudgetExhaustedError, and InvalidRequestError.
        """
        body = _generation(model, input, purpose, reference)
        request = Request("POST", "/generations", body=body, idempotency_key=_key(idempotency_key))
        return read(Generation, self._transport.send(request))

    def estimate(
        self,
        *,
        model: str,
        input: Mapping[str, object],  # noqa: A002 - crun's word
        purpose: str | None = None,
        reference: str | None = None,
    ) -> GenerationEstimate:
        """Returns what ``generate`` with the same arguments would cost. It makes the same checks, but no video."""
        body = _generation(model, input, purpose, reference)
        return read(GenerationEstimate, self._transport.send(Request("POST", "/generations/estimate", body=body)))

    def get_generation(self, generation_id: str) -> Generation:
        """Returns the generation. The URLs of its files are valid for an hour."""
        return self._read_generation(generation_id, None)

    def list_generations(
        self, *, status: GenerationStatus | None = None, session_id: str | None = None, page_size: int = 100
    ) -> Iterator[GenerationSummary]:
        """Yields this client's generations, newest first; it requests pages as needed. Filters combine.

        ``session_id`` is that of a person whom the video shows.
        """
        cursor: str | None = None
        while True:
            page = self.list_generation_page(status=status, session_id=session_id, limit=page_size, cursor=cursor)
            yield from page.generations
            cursor = page.next_cursor
            if cursor is None:
                return

    def list_generation_page(
        self,
        *,
        status: GenerationStatus | None = None,
        session_id: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> GenerationPage:
        """Returns one page of generations, newest first. For the filters, see ``list_generations``."""
        query = _given(status=status, session_id=session_id, limit=str(limit), cursor=cursor)
        return read(GenerationPage, self._transport.send(Request("GET", "/generations", query)))

    def cancel_generation(self, generation_id: str) -> Generation:
        """Cancels a generation that crun has not been asked for yet, and returns it. Can be repeated.

        Raises ConflictError with the code ``already_created`` when it is too late: crun has no way to cancel a video.
        """
        return read(Generation, self._transport.send(Request("POST", f"/generations/{_id(generation_id)}/cancel")))

    def erase_generation(self, generation_id: str) -> Generation:
        """Erases files, input and reference of a generation, and returns what remains. Can be repeated.

        Raises ConflictError with the code ``generation_running`` while it is being made.
        """
        return read(Generation, self._transport.send(Request("DELETE", f"/generations/{_id(generation_id)}")))

    def download(
        self,
        video: Generation | Media,
        path: str | PathLike[str],
        on_progress: Progress | None = None,
        *,
        timeout: float = 900.0,
    ) -> Path:
        """Saves a file, of a generation its first one, at ``path``, and returns the path.

        The file is streamed and checked against its size and digest; a file at ``path`` is replaced only by a complete
        one. A lost connection is continued. ``on_progress`` receives the bytes so far and the total. When the URL of a
        generation's file has expired, a new one is requested; that of a ``Media`` is used as it is.

        Raises DownloadError, also when it takes more than ``timeout`` seconds, and ConnectionFailedError.
        """
        media = _first_file(video) if isinstance(video, Generation) else video

        def renewed() -> Media:
            return _first_file(self.get_generation(video.id)) if isinstance(video, Generation) else media

        self._downloader.save(media, Path(path), timeout, on_progress, renewed)
        return Path(path)

    def stats(self, first: date | None = None, last: date | None = None) -> list[StatsDay]:
        """Returns the numbers of each day from ``first`` to ``last`` inclusive, at most 31; by default the last 14."""
        days: list[StatsDay] = []
        period = _given(**{"from": first.isoformat() if first else None, "to": last.isoformat() if last else None})
        cursor: str | None = None
        while True:
            found = read(Stats, self._transport.send(Request("GET", "/stats", period | _given(cursor=cursor))))
            days += found.days
            cursor = found.next_cursor
            if cursor is None:
                return days

    def client_keys(self) -> tuple[ClientKey, ...]:
        """Returns all keys of this client by their ids, oldest first, including revoked ones."""
        return read(ClientKeys, self._transport.send(Request("GET", "/client-keys"))).keys

    def webhooks(self) -> tuple[Webhook, ...]:
        """Returns all webhook endpoints of this client, without their secrets."""
        return read(Webhooks, self._transport.send(Request("GET", "/webhooks"))).webhooks

    def test_webhook(self, webhook_id: str) -> str:
        """Sends a ``likeness.webhook.test`` event to an endpoint. Returns the event's id."""
        return read(WebhookTest, self._transport.send(Request("POST", f"/webhooks/{_id(webhook_id)}/test"))).event_id

    def replay_webhook(self, webhook_id: str) -> WebhookReplay:
        """Sends an endpoint's failed deliveries again, with the same ids."""
        return read(WebhookReplay, self._transport.send(Request("POST", f"/webhooks/{_id(webhook_id)}/replay")))

    def wait_until_verified(
        self, session_id: str, timeout: float = 900.0, on_change: OnChange | None = None
    ) -> Session:
        """Waits until the person has passed, and returns the session; its files may be in any state.

        A failed or lapsed attempt does not end the wait, because a new link may follow. ``on_change`` receives the
        session at first and whenever it has changed. Raises WaitTimeoutError after ``timeout`` seconds, with the last
        session, and SessionEndedError for a session that was canceled or erased.
        """
        return self._wait(session_id, lambda session: session.status == "verified", timeout, on_change)

    def wait_until_settled(self, session_id: str, timeout: float = 900.0, on_change: OnChange | None = None) -> Session:
        """Waits like ``wait_until_verified``, and until no file is in progress or expected.

        That is when the person has finished, or all required file requests have an active file. Without file requests,
        it is when each of your files is active, failed or erased.
        """
        return self._wait(session_id, lambda session: session.is_settled, timeout, on_change)

    def wait_until_generated(
        self, generation_id: str, timeout: float = 900.0, on_change: OnGenerationChange | None = None
    ) -> Generation:
        """Waits until the video is made, and returns the generation.

        Its ``media`` are empty when the video was not saved, with the reason in ``media_problem``. ``on_change``
        receives the generation at first and whenever it has changed. Raises WaitTimeoutError after ``timeout`` seconds,
        with the last generation, and GenerationEndedError when there will be no video.
        """
        return wait_until(
            lambda deadline: self._read_generation(generation_id, deadline),
            lambda generation: generation.status == "succeeded",
            timeout,
            on_change,
            self._poll,
        )

    def _read_generation(self, generation_id: str, deadline: float | None) -> Generation:
        request = Request("GET", f"/generations/{_id(generation_id)}")
        return read(Generation, self._transport.send(request, deadline))

    def _wait(
        self, session_id: str, is_done: Callable[[Session], bool], timeout: float, on_change: OnChange | None
    ) -> Session:
        return wait_until(
            lambda deadline: self._read_session(session_id, deadline), is_done, timeout, on_change, self._poll
        )

    def _read_session(self, session_id: str, deadline: float | None, query: Mapping[str, str] | None = None) -> Session:
        request = Request("GET", f"/sessions/{_id(session_id)}", query or {})
        return read(Session, self._transport.send(request, deadline))


def _id(text: str) -> str:
    """Returns an id for use in a path. Raises ValueError when it could change the route."""
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise ValueError("an id can contain only letters, digits, _ and -")
    return text


def _key(idempotency_key: str | None) -> str:
    """Returns the key, or a new one. Raises ValueError when it cannot be sent in a header."""
    key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
    if not re.fullmatch(r"[!-~][ -~]{0,254}", key):
        raise ValueError("idempotency_key: must be 1 to 255 printable ASCII characters, the first one not a space")
    return key


def _generation(
    model: str, content: Mapping[str, object], purpose: str | None, reference: str | None
) -> dict[str, object]:
    """Returns the body that asks for a video, without absent values."""
    body: dict[str, object] = {"model": model, "input": dict(content)}
    return body | _given(purpose=purpose, reference=reference)


def _first_file(generation: Generation) -> Media:
    """Returns the file that a download of the generation means. Raises DownloadError when it has none."""
    if not generation.media:
        raise DownloadError(generation.media_problem.code if generation.media_problem else "no_media")
    return generation.media[0]


def _given(**query: str | None) -> dict[str, str]:
    """Returns the parameters that have a value."""
    return {name: value for name, value in query.items() if value is not None}


def _day_or_time(name: str, at: date | datetime | None) -> str | None:
    """Returns a filter's value. Raises ValueError for a datetime without a time zone."""
    if isinstance(at, datetime) and at.tzinfo is None:
        raise ValueError(f"{name} must have a time zone")
    return None if at is None else at.isoformat()
