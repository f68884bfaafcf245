"""The inventory as JSON Lines: sessions, assets, consents, receipts, client keys, generations and their uses.

A field is exported when its declaration says so (domain/fields.py) or when it is listed here, so new fields are
excluded by default. Never exported: byted tokens, callback and return URLs, leases, drivers, webhooks, the rate
limiter, the poll history, names of assets, prompts, crun's links to media, and the credits of a client's day. The key
of a file may contain its name, so it is exported only for an asset that crun does not have yet, which would be lost
without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from typing import Any

from likeness.contracts.views import deletion_view
from likeness.domain.asset import Asset, AssetStatus
from likeness.domain.deletions import DeletionKind, DeletionRequest, are_readable, deletions, newest
from likeness.domain.fields import erased, exported, from_values
from likeness.domain.file_requests import FileRequest
from likeness.domain.generation import GENERATION_ID, Generation, GenerationStatus, UseEntry, without_words
from likeness.domain.ids import ASSET_ID, SESSION_ID
from likeness.domain.session import Attempt, Problem, Session, SessionStatus

Values = dict[str, Any]

VERSION = 1
MANIFEST = "manifest.json"
_SESSION = (*exported(Session), "attempt_count", "ttl")
_ATTEMPT = exported(Attempt)
#: Without the hints, which may be personal and are for the person's page only.
_REQUEST = exported(FileRequest)
_ASSET = (*exported(Asset), "ttl")
_ERROR = exported(Problem)
#: With what decides whether the task may be created: an intent, and the request that has this id.
_GENERATION = (*exported(Generation), "body_sha256", "intended_at", "intended_by", "executions", "settled")
#: The location of a file that is not submitted to crun yet.
_FILE = ("object_key", "version_id")
_UNDER_WAY = frozenset(
    {AssetStatus.AWAITING_UPLOAD, AssetStatus.UPLOADED, AssetStatus.SUBMITTING, AssetStatus.PROCESSING}
)
#: Verified sessions and tombstones do not expire, but rows of earlier versions may have an expiry.
_STAYS = frozenset({SessionStatus.VERIFIED, SessionStatus.REDACTED})
#: Items that do not belong to a session: the kind of the line, and its fields.
_SINGLE = {
    "CONSENT": (
        "consent",
        (
            *("pk", "sk", "session_id", "client_id", "text_version", "given_at", "sha256", "language", "source"),
            *("purposes", "valid_until", "terms_set_at", "credential", "withdrawn_at"),
        ),
    ),
    "RECEIPT": ("receipt", ("pk", "sk", "session_id", "client_id", "holder", "created_at", "replaces")),
    "EARLIER": ("earlier_asset_id", ("pk", "sk", "upstream_id")),
    "USES": ("use", ("pk", "sk", *(each.name for each in fields_of(UseEntry)))),
    "CONSENT_TEXTS": ("consent_text", ("pk", "sk", "text_version", "language", "title", "text", "sentences", "terms")),
    "CLIENT_KEYS": (
        "client_key",
        ("pk", "sk", "key_id", "client_id", "return_origins", "created_at", "revoked_at", "purpose"),
    ),
}
_KINDS = {kind: (family, fields) for family, (kind, fields) in _SINGLE.items()}
_EVERY_KIND = frozenset({"session", "tombstone", "assets", "generation", *_KINDS})
_A_LINK = re.compile(r"[a-z]+://", re.IGNORECASE)
_NOT_SAID = "The file was not accepted."


class BadLine(ValueError):
    """When a line of an export cannot be restored. The message has the cause, without quoting the line."""


def lines_of(items: Sequence[Values]) -> list[Values]:
    """The lines for the decoded items of one partition; none when its kind is not exported."""
    family = str(items[0]["pk"]).partition("#")[0]
    if family == "SESSION":
        return [_person(items)]
    if family == "GENERATION":
        return [{"kind": "generation", "generation": _without_links(_kept(each, _GENERATION))} for each in items]
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
        kept = _kept(session, _SESSION) | {"attempts": attempts}
        if "requests" in kept:
            kept["requests"] = {name: _kept(each, _REQUEST) for name, each in kept["requests"].items()}
        line |= {"kind": "session", "session": kept}
        if session["status"] == SessionStatus.REDACTED:
            # crun's API cannot delete a group or an asset: its support needs these ids.
            ids = {each.get(name) for each in line["assets"] for name in ("crun_asset_id", "earlier_crun_asset_id")}
            ids |= {known for each in line["assets"] for known in each.get("other_crun_asset_ids", ())}
            groups = [each for each in (session.get("group_id"), *session.get("other_group_ids", ())) if each]
            requests = [
                *deletions(DeletionKind.GROUP, groups, session.get("deletion_requests", {})),
                *newest(each for asset in line["assets"] for each in _deletions(asset)),
            ]
            line |= {
                "kind": "tombstone",
                "upstream": {
                    "deletion": "not_supported_by_provider",
                    "group_id": session.get("group_id"),
                    "other_group_ids": session.get("other_group_ids", []),
                    "asset_ids": sorted(filter(None, ids)),
                    "deletion_requests": [deletion_view(each) for each in requests],
                },
            }
    return line


def _deletions(asset: Values) -> list[DeletionRequest]:
    known = (asset.get("earlier_crun_asset_id"), *asset.get("other_crun_asset_ids", ()), asset.get("crun_asset_id"))
    return deletions(DeletionKind.ASSET, filter(None, known), asset.get("deletion_requests", {}))


def _asset(values: Values) -> Values:
    under_way = values["status"] in _UNDER_WAY
    return _without_links(_kept(values, _ASSET + (_FILE if under_way else ())))


def _without_links(kept: Values) -> Values:
    for name in ("error", "media_problem"):
        if name in kept:
            kept[name] = _kept(kept[name], _ERROR)
            if _A_LINK.search(str(kept[name].get("message", ""))):
                # crun's message about a file that it could not download may quote the link to it.
                kept[name] |= {"message": _NOT_SAID}
    return kept


def _kept(values: Mapping[str, Any], fields: Sequence[str]) -> Values:
    return {name: values[name] for name in fields if name in values}


def text_of(line: Values) -> bytes:
    """The text of a line in a part."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def read_line(text: bytes) -> Values:
    """Parses a line of a part. Raises BadLine when it is not valid."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        raise BadLine("it is not JSON") from None
    if not isinstance(line, dict) or line.get("kind") not in _EVERY_KIND:
        raise BadLine("its kind is unknown")
    return line


def single_item(line: Values) -> Values:
    """Returns the item of a consent, a use or another single entry. Raises BadLine when it is not valid."""
    family, fields = _KINDS[line["kind"]]
    item = _kept(line, fields)
    if str(item.get("pk", "")).partition("#")[0] != family or not isinstance(item.get("sk"), str) or not item["sk"]:
        raise BadLine("its key is not of its kind")
    return item


def session_item(line: Values) -> Values:
    """Returns the item of a session, without tokens and driver. Raises BadLine when it is not valid."""
    given = line.get("session")
    if not isinstance(given, dict) or given.get("id") != _session_id(line):
        raise BadLine("its session is missing or another one")
    attempts = given.get("attempts", {})
    if not isinstance(attempts, dict) or not all(isinstance(each, dict) for each in attempts.values()):
        raise BadLine("its attempts cannot be read")
    kept = {number: _kept(each, _ATTEMPT) | {"byted_token": ""} for number, each in attempts.items()}
    requests = given.get("requests", {})
    if not isinstance(requests, dict) or not all(isinstance(each, dict) for each in requests.values()):
        raise BadLine("its file requests cannot be read")
    _require_deletions(given)
    if requests:
        given = given | {"requests": {name: _kept(each, _REQUEST) for name, each in requests.items()}}
    fields = [name for name in _SESSION if name != "ttl" or given.get("status") not in _STAYS]
    found = {"upstream_id": given["group_id"]} if "group_id" in given else {}
    return _kept(given, fields) | found | {"attempts": kept, "pk": f"SESSION#{given['id']}", "sk": "SESSION"}


def asset_items(line: Values) -> list[Values]:
    """Returns the items of the assets of a line. Raises BadLine when one is not valid.

    An export has no names, so an asset that was not erased gets its id as its name.
    """
    session_id, assets = _session_id(line), line.get("assets")
    if not isinstance(assets, list):
        raise BadLine("its assets are missing")
    found = []
    for given in assets:
        if not isinstance(given, dict) or not ASSET_ID.fullmatch(str(given.get("id"))):
            raise BadLine("an asset has no id")
        if given.get("session_id") != session_id:
            raise BadLine("an asset is of another session")
        _require_deletions(given)
        name = "" if given.get("status") == AssetStatus.REDACTED else given["id"]
        key = {"pk": f"SESSION#{session_id}", "sk": f"ASSET#{given['id']}"}
        key |= {"upstream_id": given["crun_asset_id"]} if "crun_asset_id" in given else {}
        found.append({"name": name, "object_key": ""} | _kept(given, _ASSET + _FILE) | key)
    return found


def generation_item(line: Values) -> Values:
    """Returns the item of a generation. Raises BadLine when it is not valid.

    An export has no prompts. A generation whose task was not created yet is thus restored as erased, and is canceled.
    """
    given = line.get("generation")
    if not isinstance(given, dict) or not GENERATION_ID.fullmatch(str(given.get("id"))):
        raise BadLine("its generation is missing")
    key = {"pk": f"GENERATION#{given['id']}", "sk": "GENERATION"}
    key |= {"upstream_id": given["task_id"]} if "task_id" in given else {}
    item = _kept(given, _GENERATION) | key
    return erased_generation(item) if given.get("status") == GenerationStatus.QUEUED else item


def erased_generation(item: Values) -> Values:
    """Returns the item without what an erasure removes."""
    blank, absent = erased(Generation)
    kept = {name: each for name, each in item.items() if name not in (*blank, *absent)}
    if kept.get("error"):
        kept["error"] = without_words(from_values(Problem, kept["error"]))
    return {"erased_at": item["updated_at"]} | kept | dict.fromkeys(blank, "")


def _require_deletions(given: Values) -> None:
    stored = given.get("deletion_requests", {})
    if not isinstance(stored, dict) or not are_readable(stored):
        raise BadLine("its deletion requests cannot be read")


def _session_id(line: Values) -> str:
    session_id = str(line.get("session_id"))
    if not SESSION_ID.fullmatch(session_id):
        raise BadLine("it has no session id")
    return session_id
