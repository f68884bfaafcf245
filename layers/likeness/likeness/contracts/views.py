"""Responses of the HTTP API (snake_case, ISO 8601 UTC). Without Pydantic, which would slow down cold starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.consent import ConsentText
from likeness.domain.fields import shown
from likeness.domain.file_requests import FileRequest
from likeness.domain.files import UploadForm
from likeness.domain.progress import is_settled, request_status
from likeness.domain.receipt import Holder, IssuedReceipt, Receipt
from likeness.domain.session import Attempt, Consent, Problem, Session, SessionPage
from likeness.domain.terms import ConsentTerms, Withdrawal
from likeness.domain.times import iso

if TYPE_CHECKING:
    from likeness.domain.deletions import DeletionRequest


def problem_view(problem: Problem | None, *, of_asset: bool = False) -> dict[str, Any] | None:
    """``last_error`` of a session, or ``error`` of an asset."""
    if problem is None:
        return None
    view: dict[str, Any] = {"code": problem.code, "message": problem.message}
    return view | ({"retryable": problem.retryable} if of_asset else {"upstream_code": problem.upstream_code})


def asset_view(asset: Asset, upload: UploadForm | None = None) -> dict[str, Any]:
    """An asset; ``upload`` only in the response to its registration."""
    view = {name: _shown(name, getattr(asset, name)) for name in shown(Asset)} | {"uri": asset.uri}
    if asset.earlier_crun_asset_id:
        view["earlier_crun_asset_id"] = asset.earlier_crun_asset_id
    if asset.other_crun_asset_ids:
        view["other_crun_asset_ids"] = list(asset.other_crun_asset_ids)
    if asset.status is AssetStatus.REDACTED and asset.crun_asset_ids:
        from likeness.domain.deletions import asset_deletions  # only erased files need it

        view["deletion_requests"] = [deletion_view(each) for each in asset_deletions(asset)]
    if upload:
        view["upload"] = {"url": upload.url, "fields": upload.fields, "expires_at": iso(upload.expires_at)}
    return view


def _shown(name: str, value: Any) -> Any:
    """A field's value in JSON. Fields with names that end in ``_at`` are epoch seconds and become ISO 8601."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, Problem):
        return problem_view(value, of_asset=True)
    if isinstance(value, StrEnum):
        return value.value
    return iso(value) if name.endswith("_at") else value


def deletion_view(request: DeletionRequest) -> dict[str, Any]:
    """What crun was asked about one id of an erased session or file."""
    return {
        "id": request.id,
        "kind": request.kind.value,
        "status": request.status.value,
        "asked_at": iso(request.asked_at),
        "refused_at": iso(request.refused_at),
        "refused_until": iso(request.refused_until),
        "done_at": iso(request.done_at),
        "ticket": request.ticket,
        "recorded_at": iso(request.recorded_at),
    }


def preview_view(url: str, expires_at: float, content_type: str) -> dict[str, Any]:
    """A preview; ``url`` is a secret."""
    return {"url": url, "expires_at": iso(expires_at), "content_type": content_type}


def consent_view(consent: Consent, status: str = "given", *, has_new_terms: bool = False) -> dict[str, Any]:
    """A consent, in a session and in the response that recorded it. ``purposes`` is None for every purpose."""
    return {
        "status": status,
        "text_version": consent.text_version,
        "given_at": consent.given_at,
        "sha256": consent.sha256,
        "language": consent.language,
        "source": consent.source,
        "purposes": list(consent.purposes) or None,
        "valid_until": iso(consent.valid_until),
        "has_new_terms": has_new_terms,
    }


def terms_view(terms: ConsentTerms | None) -> dict[str, Any] | None:
    """The terms that a person is asked to agree to."""
    if terms is None:
        return None
    return {
        "purposes": list(terms.purposes) or None,
        "valid_until": iso(terms.valid_until),
        "valid_days": terms.valid_days,
    }


def withdrawal_view(withdrawal: Withdrawal | None) -> dict[str, Any] | None:
    """A withdrawal of a consent; ``in_flight`` is what had been sent to crun before."""
    if withdrawal is None:
        return None
    listed = [each.partition(":") for each in withdrawal.in_flight or ()]
    return {
        "withdrawn_at": iso(withdrawal.at),
        "source": withdrawal.source,
        "in_flight": [{"type": kind, "id": of} for kind, _, of in listed],
    }


def consents_view(session: Session, now: float) -> dict[str, Any]:
    """What a session shows of its consent."""
    status = session.consent_status(now).value
    consent = session.consent and consent_view(session.consent, status, has_new_terms=session.has_new_terms)
    return {
        "consent": consent,
        "consent_status": status,
        "consent_terms": terms_view(session.consent_terms),
        "consent_withdrawal": withdrawal_view(session.withdrawal),
        "consent_declined_at": iso(session.declined_at),
    }


def use_view(session: Session, assets: Sequence[Asset], purpose: str | None) -> dict[str, Any]:
    """What may be used for ``purpose``: the active assets of a session whose consent covers it."""
    return {
        "session_id": session.id,
        "purpose": purpose,
        "valid_until": iso(session.consent.valid_until) if session.consent else None,
        "assets": [{"id": each.id, "asset_type": each.asset_type.value, "uri": each.uri} for each in assets],
    }


def consent_declined_view(session: Session) -> dict[str, Any]:
    """The time of a refusal to consent."""
    return {"consent_declined_at": iso(session.declined_at)}


def consent_text_view(text: ConsentText) -> dict[str, Any]:
    """The text that people are asked to agree to."""
    return {
        "text_version": text.version,
        "language": text.language.value,
        "sha256": text.sha256,
        "title": text.title,
        "text": text.text,
        "terms": list(text.sentences),
    }


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """An attempt of a session, without token and link."""
    return {
        "number": attempt.number,
        "status": attempt.status.value,
        "created_at": iso(attempt.created_at),
        "expires_at": iso(attempt.expires_at),
        "answered_at": iso(attempt.answered_at),
        "result_code": attempt.result_code,
    }


def request_view(request: FileRequest, assets: Sequence[Asset]) -> dict[str, Any]:
    """A file request of a session with these assets."""
    return {
        "name": request.name,
        "asset_type": request.asset_type.value,
        "hint": request.hint,
        "required": request.required,
        "asset_id": request.asset_id,
        "status": request_status(request, assets).value,
    }


def session_view(
    session: Session,
    assets: Sequence[Asset] | None = None,
    *,
    now: float = 0.0,
    uploads: Mapping[str, UploadForm] | None = None,
    max_attempts: int = 0,
    h5_link: str | None = None,
    invite_url: str | None = None,
    person: bool = False,
    consent_text: ConsentText | None = None,
) -> dict[str, Any]:
    """A session; the two links, and the forms of ``uploads`` by asset id, only in the response that created them.

    A listing (``assets`` is None) shows neither assets nor attempts nor the consent. ``max_attempts`` per session is
    for ``attempts_left``, and ``now`` (epoch seconds) for ``settled``. A ``person`` does not see the client's
    ``reference``. ``consent_text`` is the text that the person has yet to agree to, for a request that asked for it.
    """
    attempt = session.attempt
    view: dict[str, Any] = {
        "id": session.id,
        "status": session.status.value,
        "language": session.language.value,
        "group_id": session.group_id,
        "last_error": problem_view(session.last_error),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
    }
    if not person:
        view["reference"] = session.reference
    if assets is not None:
        view["attempt"] = attempt and {
            "number": attempt.number,
            "status": attempt.status.value,
            "expires_at": iso(attempt.expires_at),
        }
        if attempt and h5_link:
            view["attempt"]["h5_link"] = h5_link
        view |= {
            "attempts": [attempt_view(each) for _, each in sorted(session.attempts.items())],
            "attempts_left": session.attempts_left(max_attempts),
            **consents_view(session, now),
            "verified_at": iso(session.verified_at),
            "assets": [asset_view(each, (uploads or {}).get(each.id)) for each in assets],
            "requests": [request_view(each, assets) for each in session.requests.values()],
            "receipts": receipts_view(session)["receipts"],
            "finished_at": iso(session.finished_at),
            "settled": is_settled(session, assets, now),
        }
    if consent_text:
        view["consent_text"] = consent_text_view(consent_text)
    if session.erased_at:
        # crun's API cannot delete a group or an asset: its support needs these ids.
        view["erasure"] = {"erased_at": iso(session.erased_at), "upstream": "not_supported_by_provider"}
        if assets is not None:
            from likeness.domain.deletions import session_deletions  # only erased sessions need it

            ids = {known for each in assets for known in each.crun_asset_ids}
            view["erasure"] |= {
                "group_ids": session.group_ids,
                "asset_ids": sorted(ids),
                "deletion_requests": [deletion_view(each) for each in session_deletions(session, assets)],
            }
    if invite_url:
        view["invite_url"] = invite_url
    return view


def receipt_view(issued: IssuedReceipt, url: str) -> dict[str, Any]:
    """A new receipt, with its personal link, which only this response contains."""
    return {
        "session_id": issued.session_id,
        "holder": issued.holder.value,
        "created_at": iso(issued.created_at),
        "receipt_url": url,
    }


def receipts_view(session: Session) -> dict[str, Any]:
    """The valid receipts of a session, without their links."""
    found = [(each, session.receipt_of(each)) for each in Holder]
    return {
        "session_id": session.id,
        "receipts": [{"holder": each.value, "created_at": iso(it.created_at)} for each, it in found if it],
    }


def personal_view(
    session: Session,
    assets: Sequence[Asset],
    holder: Holder,
    receipt: Receipt | None,
    *,
    agreed: ConsentText | None,
    sentences: Sequence[str],
    purposes: Mapping[str, str],
    now: float,
    max_attempts: int,
) -> dict[str, Any]:
    """What the page of a personal link shows.

    ``agreed`` is the text that the person agreed to. ``sentences`` name the terms, and ``purposes`` has the words for
    each purpose, in the reader's language. The uses are pages of their own, so ``uses`` is always empty.
    """
    return {
        "holder": holder.value,
        "created_at": iso(receipt.created_at) if receipt else None,
        "session": session_view(session, assets, now=now, max_attempts=max_attempts, person=True),
        "agreed": consent_text_view(agreed) if agreed else None,
        "terms": list(sentences),
        "purposes": dict(purposes),
        "uses": [],
    }


def page_view(page: SessionPage) -> dict[str, Any]:
    """A page of a listing, and how far back it was searched."""
    return {
        "sessions": [session_view(each) for each in page.sessions],
        "next_cursor": page.cursor,
        "examined": page.examined,
        "examined_to": iso(page.examined_to),
    }
