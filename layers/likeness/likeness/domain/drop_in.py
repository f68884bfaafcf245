"""crun's own routes: issued tokens, the callback in the form of the H5 page, assets and estimates in crun's terms.

Code that was written for crun.ai uses these routes by changing its base URL (docs/drop-in.md).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.ids import SESSION_ID, bare
from likeness.domain.links import LONGEST_URL, origin_of, why_not_registered
from likeness.domain.session import AttemptStatus, DropIn, Session, SessionStatus

#: A session's ULID, which identifies the session, and 160 random bits.
_TOKEN = re.compile(r"([0-9A-Z]{26})[0-9A-F]{40}")


def new_issued_token(session_id: str, entropy: bytes) -> str:
    """The token that a caller gets instead of crun's; ``entropy`` is 20 random bytes."""
    return bare(session_id) + entropy[:20].hex().upper()


def session_of(issued_token: str) -> str | None:
    """The id of the session that an issued token names. ``opens`` checks the token itself."""
    found = _TOKEN.fullmatch(issued_token)
    session_id = f"ses_{found[1]}" if found else ""
    return session_id if SESSION_ID.fullmatch(session_id) else None


def opens(session: Session, issued_token: str) -> bool:
    """Whether this token was issued for the session; compared in constant time."""
    given = session.drop_in.issued_token if session.drop_in else ""
    return bool(given) and hmac.compare_digest(given.encode(), issued_token.encode("utf-8", "replace"))


def result_is_on_its_way(session: Session) -> bool:
    """Whether the person has passed, but the group is not known yet."""
    passed = any(each.status is AttemptStatus.PASSED for each in session.attempts.values())
    return session.group_id is None and session.status is SessionStatus.PROCESSING and passed


def may_call_back(url: str, origins: Sequence[str]) -> bool:
    """Whether the origin of ``url`` is on the client's list. A fragment is allowed, and stays at the end."""
    return why_not_call_back(url, origins) is None


def why_not_call_back(url: str, origins: Sequence[str]) -> str | None:
    """Why a browser may not be redirected to ``url``, without quoting it; None when it may be."""
    address, mark, fragment = url.partition("#")
    if mark and origin_of(address) and origin_of(f"{address}?{fragment}") is None:
        return (
            f"must have at most {LONGEST_URL} characters,"
            " and no white space, backslash or non-ASCII character in its fragment"
        )
    return why_not_registered(address, origins)


def callback_location(drop_in: DropIn, reported: Mapping[str, str]) -> str:
    """The caller's callback URL with the parameters of the H5 page, and the issued token in place of crun's.

    The parameters come from a browser and are no proof, as with crun: callers have to get the result. The query and
    fragment of the URL stay unchanged.
    """
    address, mark, fragment = drop_in.callback_url.partition("#")
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode({'bytedToken': drop_in.issued_token, **reported})}{mark}{fragment}"


_STATUS = {AssetStatus.ACTIVE: "Active", AssetStatus.FAILED: "Failed"}
#: Codes of our own check, as crun names them.
_CODES = {
    "download_failed": "DownloadFailed",
    "file_too_large": "FileSizeTooLarge",
    "dimensions_out_of_range": "ImageSizeInvalid",
    "aspect_ratio_out_of_range": "ImageSizeInvalid",
    "frame_rate_out_of_range": "FormatUnsupported",
}


def crun_status(asset: Asset) -> str:
    """``Processing``, ``Active`` or ``Failed``."""
    return _STATUS.get(asset.status, "Processing")


def crun_error(asset: Asset) -> tuple[str, str] | None:
    """Code and message of a failed asset: crun's own if it returned any, else ours under crun's code."""
    problem = asset.error
    if problem is None or asset.status is not AssetStatus.FAILED:
        return None
    code = problem.upstream_code or _CODES.get(problem.code) or "FormatUnsupported"
    return code, problem.upstream_message or problem.message


def asset_id_of(asset: Asset) -> str:
    """The AssetId to show: crun's own as soon as it is known, so that ``asset://<AssetId>`` works with crun."""
    return asset.crun_asset_id or asset.id


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What a task would cost, in credits. ``balance`` is None for a client that must not see it."""

    credits: float
    balance: float | None
    affordable: bool
