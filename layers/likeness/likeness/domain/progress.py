"""How far a session's files are: what its file requests have received, and whether anything is still expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from likeness.domain.asset import IN_PROGRESS, Asset, AssetStatus
from likeness.domain.file_requests import FileRequest, RequestStatus
from likeness.domain.session import Session, SessionStatus

#: Statuses in which an asset's file has not arrived, or is of no use: its request is open.
_OPEN = frozenset({AssetStatus.AWAITING_UPLOAD, AssetStatus.FAILED, AssetStatus.REDACTED})


def is_open(asset: Asset | None) -> bool:
    """Whether a request with this asset still needs a file."""
    return asset is None or asset.status in _OPEN


def request_status(request: FileRequest, assets: Iterable[Asset]) -> RequestStatus:
    """The status of a request of a session with these assets."""
    asset = next((each for each in assets if each.id == request.asset_id), None)
    if asset is None or is_open(asset):
        return RequestStatus.OPEN
    return RequestStatus.ACTIVE if asset.status is AssetStatus.ACTIVE else RequestStatus.RECEIVED


def is_under_way(session: Session, asset: Asset, now: float) -> bool:
    """Whether an execution has to move the asset. Without a consent, an uploaded file waits for the next one."""
    return asset.status in IN_PROGRESS and (asset.status is not AssetStatus.UPLOADED or session.is_permitted(now))


def is_settled(session: Session, assets: Sequence[Asset], now: float) -> bool:
    """Whether the session is verified and nothing more is expected: no file is in progress or on its way.

    Without a consent, nothing is expected. Otherwise the end is that the person has finished; else that all required
    requests have an active file, if there is one; else, without requests, that the client has registered files. Without
    any of these, somebody may still send files.
    """
    if session.status is not SessionStatus.VERIFIED or any(is_under_way(session, each, now) for each in assets):
        return False
    if not session.is_permitted(now):
        return True
    if session.finished_at is not None:
        return True
    if any(_is_expected(session, each, now) for each in assets):
        return False
    if not session.requests:
        return any(not each.by_person for each in assets)
    required = [each for each in session.requests.values() if each.required]
    return bool(required) and all(request_status(each, assets) is RequestStatus.ACTIVE for each in required)


def _is_expected(session: Session, asset: Asset, now: float) -> bool:
    """Whether the asset waits for a file that may still come.

    A person may abandon an upload. One for a request is replaced by the next one. The client's own files may come later
    than their forms expire, because it can register them again.
    """
    if asset.status is not AssetStatus.AWAITING_UPLOAD:
        return False
    if asset.request is not None:
        request = session.requests.get(asset.request)
        return request is not None and request.asset_id == asset.id and asset.waits(now)
    return asset.waits(now) or not asset.by_person
