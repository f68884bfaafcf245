"""The inventory as JSON Lines: what an export says of people, their assets, consents and client keys, and what not.

A field is exported when it says so itself (domain/fields.py) or is named here, so what a later version stores is left
out until somebody has decided about it. Left out for good: byted tokens, callback and return URLs, leases, drivers,
webhooks, the rate limiter, the poll history, assets' names. The key of a file holds its name too: it is told only of an
asset that crun does not have yet, which is lost without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.fields import exported
from likeness.domain.ids import ASSET_ID, SESSION_ID
from likeness.domain.session import Attempt, Problem, Session, SessionStatus

Values = dict[str, Any]

VERSION = 1
MANIFEST = "manifest.json"
_SESSION = (*exported(Session), "attempt_count", "ttl")
_ATTEMPT = exported(Attempt)
_ASSET = (*exported(Asset), "ttl")
_ERROR = exported(Problem)
#: Where the file is, for who has yet to give it to crun.
_FILE = ("object_key", "version_id")
_UNDER_WAY = frozenset(
    {AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.SUBMITTING, AssetStatus.PROCESSING}
)
#: Who was verified, and a tombstone, stay for good; rows of earlier versions were to expire all the same.
_STAYS = frozenset({SessionStatus.VERIFIED, SessionStatus.REDACTED})
#: What stands alone in the table: the kind of its line, and its fields.
_SINGLE = {
    "CONSENT": (
        "consent",
        ("pk", "sk", "session_id", "client_id", "text_version", "given_at", "sha256", "language", "source"),
    ),
    "EARLIER": ("earlier_asset_id", ("pk", "sk", "upstream_id")),
    "CONSENT_TEXTS": ("consent_text", ("pk", "sk", "text_version", "language", "title", "text")),
    "CLIENT_KEYS": ("client_key", ("pk", "sk", "key_id", "client_id", "return_origins", "created_at", "revoked_at")),
}
_KINDS = {kind: (family, fields) for family, (kind, fields) in _SINGLE.items()}
_A_LINK = re.compile(r"[a-z]+://", re.IGNORECASE)
_NOT_SAID = "The file was not accepted."


class BadLine(ValueError):
    """When a line of an export cannot be restored. The message says why, and quotes nothing."""


def lines_of(items: Sequence[Values]) -> list[Values]:
    """The lines about the items of one partition, decoded; none when its kind is not exported."""
    family = str(items[0]["pk"]).partition("#")[0]
    if family == "SESSION":
        return [_person(items)]
    if family not in _SINGLE:
        return []
    kind, fields = _SINGLE[family]
    return [{"kind": kind} | _kept(each, fields) for each in items]


def _person(items: Sequence[Values]) -> Values:
    session = next((each for each in items if each["sk"] == "SESSION"), None)
    line: Values = {
        "kind": "assets",
        "session_id": str(items[0]["pk"]).partition("#")[2],
        "assets": [_asset(each) for each in items if str(each["sk"]).startswith("ASSET#")],
    }
    if session:
        attempts = {number: _kept(each, _ATTEMPT) for number, each in session.get("attempts", {}).items()}
        line |= {"kind": "session", "session": _kept(session, _SESSION) | {"attempts": attempts}}
        if session["status"] == SessionStatus.REDACTED:
            # crun has no call to delete a group or an asset: these ids are what to ask its support for.
            ids = {each.get(name) for each in line["assets"] for name in ("crun_asset_id", "earlier_crun_asset_id")}
            line |= {
                "kind": "tombstone",
                "upstream": {
                    "deletion": "not_supported_by_provider",
                    "group_id": session.get("group_id"),
                    "other_group_ids": session.get("other_group_ids", []),
                    "asset_ids": sorted(filter(None, ids)),
                },
            }
    return line


def _asset(values: Values) -> Values:
    under_way = values["status"] in _UNDER_WAY
    kept = _kept(values, _ASSET + (_FILE if under_way else ()))
    if "error" in kept:
        kept["error"] = _kept(kept["error"], _ERROR)
        if _A_LINK.search(str(kept["error"].get("message", ""))):
            # crun's own words about a file that it did not get may quote the link to it.
            kept["error"] |= {"message": _NOT_SAID}
    return kept


def _kept(values: Mapping[str, Any], fields: Sequence[str]) -> Values:
    return {name: values[name] for name in fields if name in values}


def text_of(line: Values) -> bytes:
    """A line as it stands in a part."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def read_line(text: bytes) -> Values:
    """A line of a part. BadLine when it is none of ours."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        raise BadLine("it is not JSON") from None
    if not isinstance(line, dict) or line.get("kind") not in {"session", "tombstone", "assets", *_KINDS}:
        raise BadLine("its kind is unknown")
    return line


def single_item(line: Values) -> Values:
    """The item of a consent, a consent text or a client key. BadLine."""
    family, fields = _KINDS[line["kind"]]
    item = _kept(line, fields)
    if str(item.get("pk", "")).partition("#")[0] != family or not isinstance(item.get("sk"), str) or not item["sk"]:
        raise BadLine("its key is not of its kind")
    return item


def session_item(line: Values) -> Values:
    """The session of a line, as the table holds it: its attempts without tokens, nobody driving. BadLine."""
    given = line.get("session")
    if not isinstance(given, dict) or given.get("id") != _session_id(line):
        raise BadLine("its session is missing or another one")
    attempts = given.get("attempts", {})
    if not isinstance(attempts, dict) or not all(isinstance(each, dict) for each in attempts.values()):
        raise BadLine("its attempts cannot be read")
    kept = {number: _kept(each, _ATTEMPT) | {"byted_token": ""} for number, each in attempts.items()}
    fields = [name for name in _SESSION if name != "ttl" or given.get("status") not in _STAYS]
    found = {"upstream_id": given["group_id"]} if "group_id" in given else {}
    return _kept(given, fields) | found | {"attempts": kept, "pk": f"SESSION#{given['id']}", "sk": "SESSION"}


def asset_items(line: Values) -> list[Values]:
    """The assets of a line. An asset that was not erased is called by its id: its name is not in an export. BadLine."""
    session_id, assets = _session_id(line), line.get("assets")
    if not isinstance(assets, list):
        raise BadLine("its assets are missing")
    found = []
    for given in assets:
        if not isinstance(given, dict) or not ASSET_ID.fullmatch(str(given.get("id"))):
            raise BadLine("an asset has no id")
        if given.get("session_id") != session_id:
            raise BadLine("an asset is of another session")
        name = "" if given.get("status") == AssetStatus.REDACTED else given["id"]
        key = {"pk": f"SESSION#{session_id}", "sk": f"ASSET#{given['id']}"}
        key |= {"upstream_id": given["crun_asset_id"]} if "crun_asset_id" in given else {}
        found.append({"name": name, "object_key": ""} | _kept(given, _ASSET + _FILE) | key)
    return found


def _session_id(line: Values) -> str:
    session_id = str(line.get("session_id"))
    if not SESSION_ID.fullmatch(session_id):
        raise BadLine("it has no session id")
    return session_id
