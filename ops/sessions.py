"""The operator's view of a session: facts from the table, the bucket, Step Functions and the dead-letter queues.

It never contains a byted token, a link, a return URL, or text of the client or the person (file names, references).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from likeness.adapters.files import S3Files
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.adapters.table.generations import DynamoGenerations
from likeness.adapters.table.items import decode_item, encode
from likeness.adapters.table.receipts import DynamoReceipts
from likeness.adapters.workflows import StepFunctions
from likeness.contracts.views import (
    asset_view,
    attempt_view,
    consents_view,
    deletion_view,
    problem_view,
    receipts_view,
    request_view,
    session_view,
)
from likeness.domain.asset import Asset
from likeness.domain.caller import Caller
from likeness.domain.deletions import session_deletions
from likeness.domain.executions import executions_of
from likeness.domain.progress import is_settled
from likeness.domain.receipt import Holder
from likeness.domain.session import Attempt, Session, SessionFilter, SessionStatus
from likeness.domain.terms import TermsPolicy
from likeness.domain.times import iso
from likeness.errors import NotFound
from likeness.runtime.system import SystemClock
from likeness.steps.generations.erase_generations import EraseGenerations
from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
from ops.executions import executions
from ops.stack import Stack

#: Receives of ten messages from a dead-letter queue: a sample, not all of them.
_TRIES = 10
#: How long an erasure may erase generations. Nothing waits for the command but its operator.
_ERASURE_SECONDS = 3600.0
_QUEUES = ("OnboardingDeadLetterQueue", "UploadDeadLetterQueue")
#: The fields of an entry of the ledger of consents, besides times.
_LEDGER = ("given_at", "text_version", "sha256", "language", "source", "credential", "purposes")
_WRITTEN_BY_PEOPLE = ("name", "reference", "return_url", "request", "hint")


class Sessions:
    """The sessions of a stack. ``on_aws``: executions have a page in AWS's console."""

    def __init__(self, stack: Stack, *, on_aws: bool) -> None:
        self._stack, self._on_aws = stack, on_aws
        self._store = DynamoStore(stack.client("dynamodb"), stack.outputs["TableName"])
        self._generations = DynamoGenerations(stack.client("dynamodb"), stack.outputs["TableName"])

    def newest(self, client_id: str, status: str | None, limit: int, cursor: str | None) -> dict[str, Any]:
        """Returns at most ``limit`` of a client's sessions, newest first, and the ``cursor`` of the rest or None.

        With a ``status`` there may be fewer although more follow, because a bounded number of pages is read.
        """
        page = self._store.list_sessions(client_id, limit=limit, cursor=cursor, wanted=SessionFilter(status=status))
        return {"sessions": [_without_words(session_view(each)) for each in page.sessions], "cursor": page.cursor}

    def show(self, session_id: str, *, dead_letters: bool) -> dict[str, Any]:
        """Returns the state of a session, with times in ISO 8601. Raises NotFound.

        ``dead_letters`` also searches the queues, which increments the receive count of each message that it reads.
        """
        session, assets = self._store.load(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        view = _session(session) | {
            "executions": self._executions(session),
            "requests": [_without_words(request_view(each, assets)) for each in session.requests.values()],
            "settled": is_settled(session, assets, SystemClock().now()),
            "assets": self._assets(session, assets),
        }
        if view["erasure"]:
            requests = session_deletions(session, assets)
            view["erasure"]["deletion_requests"] = [deletion_view(each) for each in requests]
        return view | ({"dead_letters": self._dead_letters(session_id)} if dead_letters else {})

    def consent(self, session_id: str) -> dict[str, Any]:
        """Returns what a session shows of its consent, and its entries of the ledger, oldest first. Raises NotFound."""
        session = self._store.get_session(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        return consents_view(session, SystemClock().now()) | {"ledger": self._ledger(session_id)}

    def _ledger(self, session_id: str) -> list[dict[str, Any]]:
        pages = (
            self._stack.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._stack.outputs["TableName"],
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": encode(f"CONSENT#{session_id}")},
            )
        )
        entries = [decode_item(item) for page in pages for item in page["Items"]]
        times = ("valid_until", "withdrawn_at")
        return [
            {name: each[name] for name in _LEDGER if name in each}
            | {name: iso(each[name]) for name in times if name in each}
            for each in entries
        ]

    def withdraw(self, session_id: str, *, by_person: bool) -> dict[str, Any]:
        """Withdraws a consent by the step of ``POST …/consent/withdraw``. Raises NotFound and Conflict.

        ``by_person``: in the person's name, so that only the person can give another consent.
        """
        session = self._store.get_session(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        caller = Caller(session.client_id)
        if by_person:
            caller = Caller(session.client_id, session_id=session_id, invite=session.invite)
        WithdrawConsent(self._store, SystemClock(), TermsPolicy(), self._generations)(caller, session_id)
        return self.consent(session_id)

    def client_of(self, session_id: str) -> str:
        """Returns the id of the session's client. Raises NotFound."""
        session = self._store.get_session(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        return session.client_id

    def erase(self, session_id: str) -> dict[str, Any]:
        """Erases a session by the step of ``DELETE /sessions/{id}``, as its client. Returns the tombstone."""
        files, clock = S3Files(self._stack.client("s3"), self._stack.outputs["UploadBucketName"]), SystemClock()
        step = EraseSession(
            self._store,
            files,
            StepFunctions(self._stack.client("stepfunctions"), self._stack.outputs["StateMachineArn"]),
            clock,
            EraseGenerations(self._generations, files, clock, _ERASURE_SECONDS),
        )
        return step(Caller(self.client_of(session_id)), session_id)

    def revoke_receipt(self, session_id: str, holder: Holder) -> bool:
        """Ends the holder's personal link; returns False when there is none. Raises NotFound."""
        session = self._store.get_session(session_id)
        if session is None:
            raise NotFound(f"no session has the id {session_id}")
        DynamoReceipts(self._stack.client("dynamodb"), self._stack.outputs["TableName"]).revoke(session, holder)
        return session.receipt_of(holder) is not None

    def erase_asset(self, session_id: str, asset_id: str) -> dict[str, Any]:
        """Erases a file by the step of ``DELETE …/assets/{asset_id}``. Returns what is kept of it. Raises NotFound."""
        files = S3Files(self._stack.client("s3"), self._stack.outputs["UploadBucketName"])
        step = EraseAsset(self._store, files, SystemClock())
        return step(Caller(self.client_of(session_id)), session_id, asset_id)

    def _executions(self, session: Session) -> list[dict[str, Any]]:
        """Returns the executions of the session that Step Functions still has, and always the driver."""
        driver = session.driver
        names = [*executions_of(session), *([driver] if driver else [])]
        client, machine = self._stack.client("stepfunctions"), self._stack.outputs["StateMachineArn"]
        found = executions(client, machine, names, on_aws=self._on_aws, always=driver)
        return [{"name": each["name"], "drives": each["name"] == driver} | each for each in found]

    def _assets(self, session: Session, assets: Iterable[Asset]) -> list[dict[str, Any]]:
        kept = self._versions(session.id)
        return [
            _without_words(asset_view(each))
            | {
                "sha256": each.sha256,
                "ambiguous_submissions": each.ambiguous_submissions,
                "resubmissions": each.resubmissions,
                "file": _file(each, kept),
            }
            for each in assets
        ]

    def _versions(self, session_id: str) -> set[tuple[str, str]]:
        """Returns the key and version of each of the session's objects in the bucket."""
        pages = self._stack.client("s3").get_paginator("list_object_versions")
        return {
            (each["Key"], each["VersionId"])
            for folder in ("uploads", "inbox")
            for page in pages.paginate(Bucket=self._stack.outputs["UploadBucketName"], Prefix=f"{folder}/{session_id}/")
            for each in page.get("Versions", ())
        }

    def _dead_letters(self, session_id: str) -> dict[str, dict[str, int]]:
        """Returns for each queue the number of messages that mention the session, and of those that were read."""
        sqs = self._stack.client("sqs")
        return {name: _peek(sqs, self._stack.resource(name), session_id) for name in _QUEUES}


def _session(session: Session) -> dict[str, Any]:
    erasing = session.status is SessionStatus.REDACTED
    return {
        "id": session.id,
        "client_id": session.client_id,
        "status": session.status.value,
        "language": session.language.value,
        "group_id": session.group_id,
        "last_error": problem_view(session.last_error),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
        "verified_at": iso(session.verified_at),
        "finished_at": iso(session.finished_at),
        "receipts": receipts_view(session)["receipts"],
        "driver": session.driver,
        "generation": session.generation,
        **consents_view(session, SystemClock().now()),
        "erasure": {"erased_at": iso(session.erased_at), "complete": session.erased_at is not None}
        if erasing
        else None,
        "attempts": [_attempt(each) for _, each in sorted(session.attempts.items())],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return attempt_view(attempt) | {
        "looked_up_by": attempt.lookup_by,
        "looked_up_until": iso(attempt.lookup_until) if attempt.lookup_by else None,
    }


def _without_words(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in view.items() if name not in _WRITTEN_BY_PEOPLE}


def _file(asset: Asset, kept: set[tuple[str, str]]) -> str:
    """Returns whether an asset's file is in the bucket: ``kept``, ``gone``, or ``none`` when it has no file.

    Before a version has been checked, any version of the key counts.
    """
    if asset.version_id:
        return "kept" if (asset.object_key, asset.version_id) in kept else "gone"
    if any(key == asset.object_key for key, _ in kept):
        return "kept"
    return "gone" if asset.object_key and asset.uploaded_at else "none"


def _peek(sqs: Any, url: str, session_id: str) -> dict[str, int]:
    """Reads messages without hiding them from other consumers; each message is counted once."""
    bodies: dict[str, str] = {}
    for _ in range(_TRIES):
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        fresh = {each["MessageId"]: each["Body"] for each in received.get("Messages", ())}
        if not fresh.keys() - bodies.keys():
            break
        bodies |= fresh
    return {"mention_it": sum(session_id in each for each in bodies.values()), "seen": len(bodies)}
