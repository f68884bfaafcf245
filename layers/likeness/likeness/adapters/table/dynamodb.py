"""Sessions and assets in one DynamoDB table.

A session is one item. Its attempts are a map in it, so that a callback is one atomic write. An asset is one item of the
same partition. Conditions name the states from which a write may start, *including* the state that it writes: when a
response is lost, the SDK's retry must recognize its own write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from likeness.adapters.aws import CONFLICT_SECONDS, despite_conflicts, get_items, translated, update_item
from likeness.adapters.table.items import (
    UPSTREAM_ID,
    Item,
    asset_fact,
    asset_from,
    asset_item,
    asset_key,
    consent_item,
    consent_text_from,
    consent_text_item,
    consent_text_key,
    earlier_id_item,
    earlier_ids,
    encode,
    history_update,
    session_fact,
    session_from,
    session_item,
    session_key,
    withdrawal_item,
)
from likeness.domain.asset import MAX_PERSON_SLOTS, Asset, AssetStatus
from likeness.domain.due import PROGRESS_SECONDS, attempt_due_at, shard_of
from likeness.domain.fields import erased
from likeness.domain.ids import bare, ulid_before
from likeness.domain.progress import is_open
from likeness.domain.session import (
    EVERY_SESSION,
    MAX_ASSETS_PER_SESSION,
    Attempt,
    AttemptStatus,
    Consent,
    Problem,
    Session,
    SessionFilter,
    SessionPage,
    SessionStatus,
)
from likeness.errors import ConditionFailed, TooManyAttempts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        ConditionCheckTypeDef,
        PutTypeDef,
        TransactWriteItemsInputTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

    from likeness.domain.consent import ConsentText
    from likeness.domain.file_requests import FileRequest
    from likeness.domain.polling import History
    from likeness.domain.stats import Facts
    from likeness.domain.terms import ConsentTerms, Withdrawal

_OPEN_SESSION = "#status IN (:requires_input, :processing)"
#: A consent removes the refusal, so that the attribute exists only without a consent.
NOT_DECLINED = "attribute_not_exists(declined_at)"
#: The consent is neither withdrawn nor expired: in the write of each intent. A missing consent passes, because it is
#: asked for before the first attempt (see ``Session.is_permitted``).
PERMITTED = (
    "attribute_not_exists(withdrawal) AND (attribute_not_exists(consent.valid_until) OR consent.valid_until > :now)"
)
_INDEX = "ClientSessions"
_ASSET_INDEX = "ClientAssets"
_PROGRESS_INDEX = "ClientProgress"
_STATUS = {"#status": "status"}
#: Keeps the time of the first callback, of the attempt and of the session.
_ANSWERED = (
    ", attempts.#n.answered_at = if_not_exists(attempts.#n.answered_at, :now)"
    ", checked_at = if_not_exists(checked_at, :now)"
)
#: A write that creates work also makes it due (see domain/due.py).
_DUE = ", due_shard = :shard, due_at = :due"
#: How many pages of both indexes together one response about a period reads at most.
_PAGES_OF_FACTS = 8
#: How often a registration makes room in a session that concurrent requests fill.
_TRIES = 5
#: Asset rows in a session, including erased ones, because a read of the session returns all of them.
_MAX_ROWS = 1000
#: DynamoDB allows 100 writes in a transaction.
_PER_TRANSACTION = 99
#: Sorts after every ULID.
_NOTHING_READ = "Z" * 26


def _values(**values: Any) -> Item:
    return {f":{name}": encode(value) for name, value in values.items()}


def _due(identifier: str, at: float) -> Item:
    return _values(shard=shard_of(identifier), due=at)


def _erasure(of: type) -> tuple[str, dict[str, str]]:
    """Returns the end of an update that erases personal fields, and its names. Blank fields become ``:gone``."""
    blank, absent = erased(of)
    removed = ("ttl", "due_at", *absent)
    changes = "".join(f", #{each} = :gone" for each in blank) + " REMOVE " + ", ".join(f"#{each}" for each in removed)
    return changes, {f"#{each}": each for each in (*blank, *removed)}


def _open_session() -> Item:
    return _values(requires_input="requires_input", processing="processing")


# Not dataclasses: every function loads this module, and few use these two. Each decorator takes half a millisecond.
class _Filling:
    """The change of a file request's asset to ``asset_id``: parts of the update of its session.

    ``before`` is the request's asset until now, None when it has none.
    """

    def __init__(self, request: str, before: Asset | None, asset_id: str = "") -> None:
        self.request, self.before, self.asset_id = request, before, asset_id

    @property
    def condition(self) -> str:
        """The request exists, and has the same asset as before."""
        asset = "requests.#request.asset_id"
        same = f"{asset} = :before" if self.before else f"attribute_not_exists({asset})"
        return f"attribute_exists(requests.#request) AND {same}"

    @property
    def names(self) -> dict[str, str]:
        return {"#request": self.request}

    @property
    def values(self) -> Item:
        return _values(before=self.before.id) if self.before else {}


class _Reading:
    """An index read from newest to oldest. ``down_to`` is the last ULID read, "" at the end."""

    def __init__(self, query: Item) -> None:
        self.query = query
        self.items: list[Item] = []
        self.down_to = _NOTHING_READ

    def until(self, ulid: str) -> list[Item]:
        """Returns the items read, down to and including ``ulid``."""
        return [each for each in self.items if bare(each["id"]["S"]) >= ulid]


class DynamoStore:
    """The port ``Store`` on table ``table``, with a low-level DynamoDB client.

    ``conflict_seconds`` is how long a transaction that conflicts with another one is retried.
    """

    def __init__(self, client: DynamoDBClient, table: str, conflict_seconds: float = CONFLICT_SECONDS) -> None:
        self._client = client
        self._conflict_seconds = conflict_seconds
        self._table = table
        self._kept_texts: set[str] = set()

    # -- sessions ---------------------------------------------------------------------------------------------

    def create_session(self, session: Session, assets: Sequence[Asset]) -> None:
        """See the port. One PutItem, or one transaction with assets or a consent."""
        items = [session_item(session), *(asset_item(asset) for asset in assets)]
        if session.consent:
            items.append(consent_item(session, session.consent))
        # A caller's retry has a new id, so an existing row can only come from a first try of this write.
        if len(items) == 1:
            with translated():
                self._client.put_item(TableName=self._table, Item=items[0])
        else:
            self._transact([{"Put": {"TableName": self._table, "Item": item}} for item in items], session.id)

    def get_session(self, session_id: str) -> Session | None:
        """See the port."""
        item = self._get(session_key(session_id))
        return session_from(item) if item else None

    def list_sessions(
        self, client_id: str, *, limit: int, cursor: str | None, wanted: SessionFilter = EVERY_SESSION
    ) -> SessionPage:
        """See the port and listing.py."""
        from likeness.adapters.table import listing

        return listing.list_sessions(self._client, self._table, client_id, limit=limit, cursor=cursor, wanted=wanted)

    def read_facts(self, client_id: str, *, oldest: str, newest: str, page_size: int) -> Facts:
        """See the port. Reads two indexes in parallel. What one has read beyond the other is left for the next call."""
        from likeness.domain.stats import Facts

        bounds = (client_id, oldest, newest)
        sessions = _reading(
            _PROGRESS_INDEX,
            "client_id",
            "ses_",
            bounds,
            "id, #status, last_error.#code, consent.given_at, attempt_count, checked_at, passed_at, verified_at,"
            " active_at",
        )
        assets = _reading(
            _ASSET_INDEX, "asset_client_id", "ast_", bounds, "id, #status, #error.#code, submitted_at, activated_at"
        )
        for _ in range(_PAGES_OF_FACTS):
            behind = max(sessions, assets, key=lambda each: each.down_to)
            if not behind.down_to:
                break
            with translated():
                page = self._client.query(TableName=self._table, Limit=page_size, **behind.query)
            behind.items += page["Items"]
            last = page.get("LastEvaluatedKey")
            behind.down_to = bare(last["id"]["S"]) if last else ""
            behind.query["ExclusiveStartKey"] = last
        complete = max(sessions.down_to, assets.down_to)
        return Facts(
            [session_fact(each) for each in sessions.until(complete)],
            [asset_fact(each) for each in assets.until(complete)],
            ulid_before(complete) if complete > oldest else None,
        )

    def add_attempt(self, session_id: str, attempt: Attempt, now: float, *, given_up: Sequence[int] = ()) -> None:
        """See the port."""
        self._update(
            session_key(session_id),
            f"SET attempts.#n = :attempt, attempt_count = :number, updated_at = :now, #status = :requires_input{_DUE}"
            + "".join(f", attempts.#n{number}.#status = :lost" for number in given_up)
            + " REMOVE last_error",
            f"attempt_count = :before AND attribute_not_exists(group_id) AND {NOT_DECLINED} AND {PERMITTED}"
            f" AND {_OPEN_SESSION}"
            + "".join(f" AND attempts.#n{number}.#status IN (:passed, :lost)" for number in given_up),
            _values(attempt=attempt, number=attempt.number, before=attempt.number - 1, now=now)
            | (_values(lost=AttemptStatus.LOST, passed=AttemptStatus.PASSED) if given_up else {})
            | _due(session_id, attempt_due_at(attempt.created_at))
            | _open_session(),
            {"#n": str(attempt.number)} | {f"#n{number}": str(number) for number in given_up},
        )

    def record_pass(self, session_id: str, number: int, result_code: str, now: float) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "SET attempts.#n.#status = :passed, attempts.#n.result_code = :code, #status = :processing,"
            f" updated_at = :now, passed_at = if_not_exists(passed_at, :now){_ANSWERED}{_DUE} REMOVE last_error",
            "attribute_exists(attempts.#n) AND attribute_not_exists(group_id)"
            f" AND attempts.#n.#status IN (:open, :lapsed, :failed, :passed) AND {_OPEN_SESSION}"
            # Failed with this code means that a look-up refused the pass. A page reload must not reopen it.
            " AND (attempts.#n.#status <> :failed OR attempts.#n.result_code <> :code)",
            _values(
                passed=AttemptStatus.PASSED,
                open=AttemptStatus.OPEN,
                lapsed=AttemptStatus.LAPSED,
                failed=AttemptStatus.FAILED,
                code=result_code,
                now=now,
            )
            | _due(session_id, now + PROGRESS_SECONDS)
            | _open_session(),
            {"#n": str(number)},
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def record_failed_attempt(self, session_id: str, number: int, result_code: str, why: Problem, now: float) -> None:
        """See the port."""
        self._update(
            session_key(session_id),
            "SET attempts.#n.#status = :failed, #status = :requires_input, last_error = :why, updated_at = :now,"
            f" attempts.#n.result_code = :code{_ANSWERED}"
            " REMOVE attempts.#n.lookup_by, attempts.#n.lookup_until",
            f"attempt_count = :number AND attribute_not_exists(group_id) AND {_OPEN_SESSION}"
            " AND attempts.#n.#status IN (:open, :failed)",
            _values(failed=AttemptStatus.FAILED, open=AttemptStatus.OPEN, code=result_code)
            | _values(why=why, now=now, number=number)
            | _open_session(),
            {"#n": str(number)},
        )

    def record_refused_result(
        self, session: Session, number: int, status: AttemptStatus, why: Problem, now: float
    ) -> None:
        """See the port. The other attempts' statuses decide the session's status, so they are in the condition."""
        others = {k: each.status for k, each in session.attempts.items() if k != number}
        newest = session.attempt is not None and number == session.attempt.number
        moves = AttemptStatus.PASSED not in others.values() and (newest or session.status is SessionStatus.PROCESSING)
        same = "".join(f" AND attempts.#n{k}.#status = :n{k}" for k in others)
        self._update(
            session_key(session.id),
            "SET attempts.#n.#status = :to, updated_at = :now"
            + (", #status = :requires_input, last_error = :why" if moves else "")
            + " REMOVE attempts.#n.lookup_by, attempts.#n.lookup_until",
            f"attempt_count = :count AND attribute_not_exists(group_id) AND {_OPEN_SESSION}"
            f" AND attempts.#n.#status IN (:was, :to){same}",
            _values(to=status, was=session.attempts[number].status, now=now, count=len(session.attempts))
            | _values(**{f"n{k}": each for k, each in others.items()})
            | (_values(why=why) if moves else {})
            | _open_session(),
            {"#n": str(number)} | {f"#n{k}": str(k) for k in others},
        )

    def record_no_result(self, session_id: str, why: Problem, now: float) -> None:
        """See the port."""
        self._update_if(
            session_key(session_id),
            "SET #status = :requires_input, last_error = :why, updated_at = :now",
            "attribute_not_exists(group_id) AND #status = :processing",
            _values(why=why, now=now) | _open_session(),
        )

    def save_group(self, session_id: str, number: int, group_id: str, now: float) -> None:
        """See the port. The same write as in the state SaveGroup."""
        self._update(
            session_key(session_id),
            "SET group_id = :group, upstream_id = :group, #status = :verified, updated_at = :now,"
            f" verified_at = if_not_exists(verified_at, :now), attempts.#n.#status = :verified{_DUE}"
            " REMOVE last_error, #ttl, attempts.#n.lookup_by, attempts.#n.lookup_until",
            "attribute_exists(attempts.#n) AND (attribute_not_exists(group_id) OR group_id = :group)"
            " AND NOT #status IN (:canceled, :redacted)",
            _values(group=group_id, now=now, verified="verified", canceled="canceled", redacted="redacted")
            | _due(session_id, now),
            {"#n": str(number), "#ttl": "ttl"},
        )

    def add_requests(self, session: Session, requests: Sequence[FileRequest]) -> Session:
        """See the port. The number of requests detects a concurrent change; none of the names may exist."""
        names = {f"#n{number}": each.name for number, each in enumerate(requests)}
        if session.requests:
            changes = ", ".join(f"requests.{name} = :{name[1:]}" for name in names)
            same = "size(requests) = :count" + "".join(f" AND attribute_not_exists(requests.{name})" for name in names)
            values = _values(**{f"n{number}": each for number, each in enumerate(requests)})
        else:
            changes, same = "requests = :all", "(attribute_not_exists(requests) OR size(requests) = :count)"
            values, names = _values(all={each.name: each for each in requests}), {}
        item = self._update(
            session_key(session.id),
            f"SET {changes} REMOVE finished_at",
            f"attribute_exists(pk) AND NOT #status IN (:canceled, :redacted) AND {same}",
            values | _values(count=len(session.requests), canceled="canceled", redacted="redacted"),
            names,
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def withdraw_request(self, session_id: str, request: FileRequest, asset: Asset | None) -> None:
        """See the port. One transaction, because the file may arrive at the same time."""
        filling = _Filling(request.name, asset)
        update: UpdateTypeDef = {
            "TableName": self._table,
            "Key": session_key(session_id),
            "UpdateExpression": "REMOVE requests.#request",
            "ConditionExpression": filling.condition,
            "ExpressionAttributeNames": filling.names,
        }
        if filling.values:
            update["ExpressionAttributeValues"] = filling.values
        self._transact([{"Update": update}, *self._still_open(filling)])

    def finish_session(self, session_id: str, now: float) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "SET finished_at = if_not_exists(finished_at, :now), updated_at = :now",
            "#status = :verified",
            _values(verified="verified", now=now),
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def renew_invite(self, session_id: str) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "ADD invite :one",
            "attribute_exists(pk) AND NOT #status IN (:canceled, :redacted)",
            _values(one=1, canceled="canceled", redacted="redacted"),
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def revoke_invite(self, session_id: str) -> None:
        """See the port."""
        self._update(session_key(session_id), "ADD invite :one", "attribute_exists(pk)", _values(one=1))

    # -- consent ----------------------------------------------------------------------------------------------

    def keep_consent_text(self, text: ConsentText) -> None:
        """See the port. The digest is the key, so a repeated write is harmless. Each process writes a text once."""
        if text.sha256 not in self._kept_texts:
            with translated():
                self._client.put_item(TableName=self._table, Item=consent_text_item(text))
            self._kept_texts.add(text.sha256)

    def find_consent_text(self, sha256: str) -> ConsentText | None:
        """See the port."""
        item = self._get(consent_text_key(sha256))
        return consent_text_from(item) if item else None

    def record_consent(self, session: Session, consent: Consent, now: float) -> None:
        """See the port. One transaction: the ledger's entry and the session's copy."""
        terms = session.consent_terms
        conditions = [
            "attribute_exists(pk) AND NOT #status IN (:canceled, :redacted)",
            # The terms are still those that the person has read.
            "consent_terms.set_at = :terms" if terms else "attribute_not_exists(consent_terms)",
        ]
        names, values = _STATUS, _values(consent=consent, now=now, canceled="canceled", redacted="redacted")
        values |= _values(terms=terms.set_at) if terms else {}
        if consent.sha256:
            # Concurrent requests that agree to the same text add one entry.
            conditions.append(
                "(attribute_not_exists(consent.sha256) OR consent.sha256 <> :digest OR attribute_exists(withdrawal)"
                " OR consent.valid_until <= :now" + (" OR consent.terms_set_at <> :terms" if terms else "") + ")"
            )
            values |= _values(digest=consent.sha256)
        if consent.source == "client":
            conditions.append("(attribute_not_exists(withdrawal) OR withdrawal.#source <> :person)")
            names, values = names | {"#source": "source"}, values | _values(person="person")
        # Reconcile finds the work that a new consent continues, and sets the time of the notice about its end.
        is_due = consent.valid_until is not None or not session.is_permitted(now)
        shown: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": session_key(session.id),
                "UpdateExpression": "SET consent = :consent, updated_at = :now"
                + (_DUE if is_due else "")
                + " REMOVE declined_at, withdrawal, consent_notice",
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values | (_due(session.id, now + PROGRESS_SECONDS) if is_due else {}),
            }
        }
        self._transact([self._ledger_entry(consent_item(session, consent)), shown])

    def _ledger_entry(self, item: Item) -> TransactWriteItemTypeDef:
        return {
            "Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"},
        }

    def withdraw_consent(self, session: Session, withdrawal: Withdrawal) -> None:
        """See the port. One transaction: the ledger's entry and the session."""
        mark: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": session_key(session.id),
                "UpdateExpression": f"SET withdrawal = :withdrawal, updated_at = :now{_DUE}",
                # A person's withdrawal replaces one of the client.
                "ConditionExpression": "attribute_exists(pk) AND NOT #status IN (:canceled, :redacted)"
                " AND (attribute_not_exists(withdrawal) OR (withdrawal.#source = :client AND :source = :person))",
                "ExpressionAttributeNames": _STATUS | {"#source": "source"},
                "ExpressionAttributeValues": _values(
                    withdrawal=withdrawal, now=withdrawal.at, canceled="canceled", redacted="redacted"
                )
                | _values(source=withdrawal.source, client="client", person="person")
                | _due(session.id, withdrawal.at + PROGRESS_SECONDS),
            }
        }
        self._transact([self._ledger_entry(withdrawal_item(session, withdrawal)), mark])

    def record_in_flight(self, session_id: str, withdrawal: Withdrawal, in_flight: Sequence[str]) -> Session:
        """See the port. The first list is kept."""
        item = self._update(
            session_key(session_id),
            "SET withdrawal.in_flight = if_not_exists(withdrawal.in_flight, :listed)",
            "withdrawal.#at = :at",
            _values(listed=list(in_flight), at=withdrawal.at),
            {"#at": "at"},
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def set_consent_terms(self, session: Session, terms: ConsentTerms) -> Session:
        """See the port."""
        before = session.consent_terms
        item = self._update(
            session_key(session.id),
            "SET consent_terms = :terms",
            "attribute_exists(pk) AND NOT #status IN (:canceled, :redacted) AND "
            + ("consent_terms.set_at = :before" if before else "attribute_not_exists(consent_terms)"),
            _values(terms=terms, canceled="canceled", redacted="redacted")
            | (_values(before=before.set_at) if before else {}),
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    def record_consent_notice(self, session: Session, days: int, now: float) -> None:
        """See the port."""
        until = session.consent.valid_until if session.consent else None
        self._update_if(
            session_key(session.id),
            "SET consent_notice = :days, updated_at = :now",
            "consent.valid_until = :until AND attribute_not_exists(withdrawal)"
            " AND (attribute_not_exists(consent_notice) OR consent_notice > :days)",
            _values(days=days, now=now, until=until),
        )

    def decline_consent(self, session_id: str, now: float) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "SET declined_at = :now, updated_at = :now",
            "attribute_exists(pk) AND attribute_not_exists(consent) AND NOT #status IN (:canceled, :redacted)"
            " AND (attribute_not_exists(declined_at) OR declined_at = :now)",
            _values(now=now, canceled="canceled", redacted="redacted"),
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    # -- leases and drivers -----------------------------------------------------------------------------------

    def lease_lookup(self, session_id: str, number: int, execution: str, now: float, until: float) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "SET attempts.#n.lookup_by = :execution, attempts.#n.lookup_until = :until",
            "attribute_exists(attempts.#n) AND (attribute_not_exists(attempts.#n.lookup_by)"
            " OR attempts.#n.lookup_by = :execution OR attempts.#n.lookup_until < :now)",
            _values(execution=execution, until=until, now=now),
            {"#n": str(number)},
            ReturnValues="ALL_OLD",
        )
        return session_from(item)

    def release_lookup(self, session_id: str, number: int, execution: str) -> None:
        """See the port."""
        self._update_if(
            session_key(session_id),
            "REMOVE attempts.#n.lookup_by, attempts.#n.lookup_until",
            "attempts.#n.lookup_by = :execution",
            _values(execution=execution),
            {"#n": str(number)},
        )

    def record_not_yet(
        self, session_id: str, number: int, execution: str, answers: int, since: float, *, release: bool
    ) -> None:
        """See the port."""
        self._update_if(
            session_key(session_id),
            "SET attempts.#n.not_yet = :answers, attempts.#n.not_yet_since = :since"
            + (" REMOVE attempts.#n.lookup_by, attempts.#n.lookup_until" if release else ""),
            "attempts.#n.lookup_by = :execution",
            _values(execution=execution, answers=answers, since=since),
            {"#n": str(number)},
        )

    def next_execution(self, session_id: str, number: int, executions: int) -> None:
        """See the port."""
        before = "attempts.#n.executions = :before" if executions else "attribute_not_exists(attempts.#n.executions)"
        self._update_if(
            session_key(session_id),
            "SET attempts.#n.executions = :next",
            f"attribute_exists(attempts.#n) AND {before}",
            _values(next=executions + 1) | (_values(before=executions) if executions else {}),
            {"#n": str(number)},
        )

    def claim_driver(self, session_id: str, execution: str, takes_over: str | None) -> bool:
        """See the port. A new driver starts a new generation, which names the next execution."""
        key = session_key(session_id)
        claimed = self._update_if(
            key,
            "SET driver = :execution ADD generation :one",
            "attribute_exists(pk) AND NOT #status IN (:canceled, :redacted)"
            " AND (attribute_not_exists(driver)" + (" OR driver = :takes_over)" if takes_over else ")"),
            _values(execution=execution, one=1, canceled="canceled", redacted="redacted")
            | (_values(takes_over=takes_over) if takes_over else {}),
        )
        # A repeated claim by the same execution succeeds and starts no new generation.
        return claimed or self._update_if(
            key, "SET driver = :execution", "driver = :execution", _values(execution=execution)
        )

    def release_driver(self, session_id: str, execution: str) -> None:
        """See the port."""
        self._update_if(session_key(session_id), "REMOVE driver", "driver = :execution", _values(execution=execution))

    def next_generation(self, session_id: str, generation: int) -> None:
        """See the port."""
        self._update_if(
            session_key(session_id),
            "SET generation = :next",
            "generation = :now",
            _values(now=generation, next=generation + 1),
        )

    # -- erasure ----------------------------------------------------------------------------------------------

    def redact_session(self, session: Session, now: float, *, by: str = "client", stays_due: bool = False) -> bool:
        """See the port. Attempts keep their numbers and outcomes, but not their tokens."""
        numbers = {f"#n{number}": str(number) for number in session.attempts}
        tokens = "".join(f", attempts.{name}.byted_token = :gone" for name in numbers)
        changes, names = _erasure(Session)
        condition = "attribute_exists(pk) AND attempt_count = :count"
        if stays_due:
            # By the policy about withdrawals, unless a new consent was given at the same time.
            changes, condition = changes.replace(", #due_at", ""), f"{condition} AND attribute_exists(withdrawal)"
            del names["#due_at"]
        return self._update_if(
            session_key(session.id),
            f"SET #status = :redacted, updated_at = :now, erased_by = :by{tokens}{changes}",
            condition,
            _values(redacted="redacted", now=now, by=by, count=len(numbers)) | (_values(gone="") if numbers else {}),
            numbers | names,
        )

    def redact_asset(self, asset: Asset, now: float, *, give_back: bool = False) -> None:
        """See the port. The digest stays as proof, and the AssetId so that crun can be asked to delete the file."""
        key = asset_key(asset.session_id, asset.id)
        changes, names = _erasure(Asset)
        returned = ", given_back = :yes" if give_back else ""
        update = f"SET #status = :redacted, updated_at = :now{returned}{changes}"
        names |= _STATUS
        values = _values(redacted="redacted", gone="", now=now) | (_values(yes=True) if give_back else {})
        if give_back:
            first: TransactWriteItemTypeDef = {
                "Update": {
                    "TableName": self._table,
                    "Key": key,
                    "UpdateExpression": update,
                    "ConditionExpression": "attribute_exists(pk) AND #status <> :redacted"
                    " AND attribute_not_exists(given_back)",
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": values,
                }
            }
            try:
                self._transact([first, self._uncount(asset.session_id, 1)])
            except ConditionFailed:
                pass  # already erased, or its slot was released: erase the rest below
            else:
                return
        self._update_if(key, update, "attribute_exists(pk)", values, names)

    def earlier_ids(self, session_id: str) -> dict[str, str]:
        """See the port."""
        items = self._items(earlier_ids(session_id), "")
        return {item["sk"]["S"]: item[UPSTREAM_ID]["S"] for item in items}

    def record_earlier_id(self, asset: Asset, crun_asset_id: str) -> None:
        """See the port."""
        self._update_if(
            asset_key(asset.session_id, asset.id),
            "SET earlier_crun_asset_id = :id",
            "attribute_exists(pk) AND attribute_not_exists(earlier_crun_asset_id)",
            _values(id=crun_asset_id),
        )

    def record_late_group(self, session_id: str, group_id: str) -> None:
        """See the port. Does not set the key of the index, because erased sessions are not found by crun's ids."""
        key = session_key(session_id)
        erased_statuses = _values(canceled="canceled", redacted="redacted")
        self._update_if(
            key,
            "SET group_id = :id",
            "#status IN (:canceled, :redacted) AND attribute_not_exists(group_id)",
            erased_statuses | _values(id=group_id),
        )
        self._update_if(
            key,
            "SET other_group_ids = list_append(if_not_exists(other_group_ids, :none), :ids)",
            "attribute_exists(group_id) AND group_id <> :id"
            " AND (attribute_not_exists(other_group_ids) OR NOT contains(other_group_ids, :id))",
            _values(id=group_id, ids=[group_id], none=[]),
        )

    def record_late_submission(self, asset: Asset) -> None:
        """See the port."""
        self._update_if(
            asset_key(asset.session_id, asset.id),
            "SET crun_asset_id = :id",
            "#status = :redacted AND attribute_not_exists(crun_asset_id)",
            _values(redacted="redacted", id=asset.crun_asset_id),
        )

    def record_erasure(self, session_id: str, now: float) -> Session:
        """See the port."""
        item = self._update(
            session_key(session_id),
            "SET erased_at = if_not_exists(erased_at, :now) REMOVE due_at",
            "#status = :redacted",
            _values(now=now, redacted="redacted"),
            ReturnValues="ALL_NEW",
        )
        return session_from(item)

    # -- assets -----------------------------------------------------------------------------------------------

    def add_asset(self, asset: Asset, earlier: Asset | None = None) -> bool:
        """See the port. One transaction: the asset, its slot in the session's count and its file request."""
        filling = _Filling(asset.request, earlier, asset.id) if asset.request is not None else None
        if self._hold(asset, "attribute_not_exists(pk)", {}, filling):
            return True
        for _ in range(_TRIES):
            if self.get_asset(asset.session_id, asset.id):
                return False
            self._make_room(asset, filling)
            if self._hold(asset, "attribute_not_exists(pk)", {}, filling):
                return True
        raise ConditionFailed("The session's slots are contended")

    def extend_slot(self, asset: Asset) -> None:
        """See the port. Counts the slot again if it was released."""
        waiting = "#status = :waiting"
        values = _values(waiting=AssetStatus.AWAITING_UPLOAD)
        kept = asset.place_counted()
        if not asset.given_back:
            self.change_asset(kept, [AssetStatus.AWAITING_UPLOAD])
        elif not self._hold(kept, f"{waiting} AND attribute_exists(given_back)", values):
            self._make_room(asset)
            if not self._hold(kept, f"{waiting} AND attribute_exists(given_back)", values):
                raise ConditionFailed("The asset no longer waits for a file")

    def _hold(self, asset: Asset, condition: str, values: Item, filling: _Filling | None = None) -> bool:
        """Writes an asset and counts its slot in one transaction, which also makes it the asset of a file request.

        Returns False when a condition was not met.
        """
        of_person = asset.by_person
        count: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": session_key(asset.session_id),
                "UpdateExpression": ("SET requests.#request.asset_id = :asset " if filling else "")
                + "ADD asset_count :one"
                + (", person_places :one REMOVE finished_at" if of_person else ""),
                "ConditionExpression": "attribute_exists(pk) AND asset_count < :most"
                f" AND {NOT_DECLINED} AND {PERMITTED} AND NOT #status IN (:canceled, :redacted)"
                + (" AND (attribute_not_exists(person_places) OR person_places < :waiting)" if of_person else "")
                + (f" AND {filling.condition}" if filling else ""),
                "ExpressionAttributeNames": _STATUS | (filling.names if filling else {}),
                "ExpressionAttributeValues": _values(
                    one=1, most=MAX_ASSETS_PER_SESSION, now=asset.updated_at, canceled="canceled", redacted="redacted"
                )
                | (_values(waiting=MAX_PERSON_SLOTS) if of_person else {})
                | (_values(asset=asset.id) | filling.values if filling else {}),
            }
        }
        put: PutTypeDef = {"TableName": self._table, "Item": asset_item(asset), "ConditionExpression": condition}
        if values:
            put |= {"ExpressionAttributeNames": _STATUS, "ExpressionAttributeValues": values}
        try:
            self._transact([{"Put": put}, count, *self._still_open(filling)])
        except ConditionFailed:
            return False
        return True

    def _still_open(self, filling: _Filling | None) -> list[TransactWriteItemTypeDef]:
        """Returns the check that a request's file has not arrived meanwhile; failed and erased assets stay so."""
        asset = filling.before if filling else None
        if asset is None or asset.status is not AssetStatus.AWAITING_UPLOAD:
            return []
        return [
            {
                "ConditionCheck": {
                    "TableName": self._table,
                    "Key": asset_key(asset.session_id, asset.id),
                    "ConditionExpression": "#status IN (:waiting, :failed, :redacted)",
                    "ExpressionAttributeNames": _STATUS,
                    "ExpressionAttributeValues": _values(
                        waiting=AssetStatus.AWAITING_UPLOAD, failed=AssetStatus.FAILED, redacted=AssetStatus.REDACTED
                    ),
                }
            }
        ]

    def _make_room(self, asset: Asset, filling: _Filling | None = None) -> None:
        """Releases expired slots of a full session, so that another attempt may get one.

        Raises TooManyAttempts when no slot has expired, ConditionFailed when the session accepts no uploads or the
        file request has changed.
        """
        now = asset.updated_at
        session, assets = self.load(asset.session_id)
        refused = session is None or session.declined_at is not None or not session.is_permitted(now)
        if session is None or refused or not session.accepts_uploads:
            raise ConditionFailed("The session does not accept uploads")
        if filling:
            request = session.requests.get(filling.request)
            now_there = next((each for each in assets if request and each.id == request.asset_id), None)
            expected = filling.before.id if filling.before else None
            if request is None or request.asset_id != expected or not is_open(now_there):
                raise ConditionFailed("The file request has changed")
        if session.asset_count >= MAX_ASSETS_PER_SESSION:
            over = [each for each in assets if each.is_over(now) and not each.given_back]
            if not over or len(assets) >= _MAX_ROWS:
                raise TooManyAttempts(f"A session can have at most {MAX_ASSETS_PER_SESSION} assets")
            for start in range(0, len(over), _PER_TRANSACTION):
                self._release_slots(session, over[start : start + _PER_TRANSACTION])
        if asset.by_person and session.person_places >= MAX_PERSON_SLOTS:
            waiting = sum(each.by_person and each.waits(now) for each in assets)
            if waiting >= MAX_PERSON_SLOTS:
                raise TooManyAttempts(f"At most {MAX_PERSON_SLOTS} files can await their uploads at the same time")
            self._update_if(
                session_key(session.id),
                "SET person_places = :waiting",
                "person_places = :counted",
                _values(waiting=waiting, counted=session.person_places),
            )

    def _release_slots(self, session: Session, over: Sequence[Asset]) -> None:
        """Releases the slots of all these assets, or of none when one has changed or was already released."""
        marks: list[TransactWriteItemTypeDef] = [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": asset_key(each.session_id, each.id),
                    "UpdateExpression": "SET given_back = :yes",
                    "ConditionExpression": "attribute_not_exists(given_back) AND #status = :was AND updated_at = :at",
                    "ExpressionAttributeNames": _STATUS,
                    "ExpressionAttributeValues": _values(yes=True, was=each.status, at=each.updated_at),
                }
            }
            for each in over
        ]
        # a concurrent request makes room too: the next attempt sees it
        with suppress(ConditionFailed):
            self._transact([*marks, self._uncount(session.id, len(over))])

    def _uncount(self, session_id: str, slots: int) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": session_key(session_id),
                "UpdateExpression": "ADD asset_count :less",
                "ConditionExpression": "asset_count >= :slots",
                "ExpressionAttributeValues": _values(less=-slots, slots=slots),
            }
        }

    def get_asset(self, session_id: str, asset_id: str) -> Asset | None:
        """See the port."""
        item = self._get(asset_key(session_id, asset_id))
        return asset_from(item) if item else None

    def list_assets(self, session_id: str) -> list[Asset]:
        """See the port."""
        return [asset_from(item) for item in self._partition(session_id, "ASSET#")]

    def load(self, session_id: str) -> tuple[Session | None, list[Asset]]:
        """See the port."""
        items = self._partition(session_id, "")
        sessions = [session_from(item) for item in items if item["sk"]["S"] == "SESSION"]
        return next(iter(sessions), None), [asset_from(item) for item in items if item["sk"]["S"] != "SESSION"]

    def load_asset(self, session_id: str, asset_id: str) -> tuple[Session | None, Asset | None]:
        """See the port. One BatchGetItem. Raises StorageUnavailable if it leaves items unprocessed."""
        keys = [session_key(session_id), asset_key(session_id, asset_id)]
        items = {item["sk"]["S"]: item for item in get_items(self._client, self._table, keys)}
        session, asset = (items.get(key["sk"]["S"]) for key in keys)
        return session_from(session) if session else None, asset_from(asset) if asset else None

    def _partition(self, session_id: str, prefix: str) -> list[Item]:
        return self._items(f"SESSION#{session_id}", prefix)

    def _items(self, pk: str, prefix: str) -> list[Item]:
        query: Item = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
            "ExpressionAttributeValues": _values(pk=pk, **({"prefix": prefix} if prefix else {})),
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            with translated():
                page = self._client.query(**query)
            found += page["Items"]
            if not page.get("LastEvaluatedKey"):
                return found
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def change_asset(
        self,
        asset: Asset,
        expected: Sequence[AssetStatus],
        seen: History | None = None,
        *,
        first_active: bool = False,
    ) -> None:
        """See the port. One PutItem, or one transaction with the poll history, the session, or both."""
        starts = {f"from{index}": status for index, status in enumerate(expected)}
        put = self._put(asset, f"#status IN ({', '.join(f':{name}' for name in starts)})", starts)
        writes: list[TransactWriteItemTypeDef] = [{"Put": put}]
        if first_active:
            writes.append(self._first_active(asset))
        with translated():
            if (
                seen
                and seen.total
                and write_and_count(self._client, self._table, writes, asset.asset_type, asset.updated_at, seen)
            ):
                return
            if len(writes) == 1:
                despite_conflicts(lambda: self._client.put_item(**put))
                return
        self._transact(writes)

    def _first_active(self, asset: Asset) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": session_key(asset.session_id),
                "UpdateExpression": "SET active_at = if_not_exists(active_at, :at)",
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeValues": _values(at=asset.activated_at),
            }
        }

    def retry_asset(self, asset: Asset, before: Asset) -> None:
        """See the port. One transaction: the asset, and a check of its session."""
        put = self._put(
            asset, "#status = :before AND updated_at = :at", {"before": before.status, "at": before.updated_at}
        )
        check: ConditionCheckTypeDef = {
            "TableName": self._table,
            "Key": session_key(asset.session_id),
            "ConditionExpression": f"attribute_exists(pk) AND {PERMITTED} AND NOT #status IN (:canceled, :redacted)"
            + (" AND requests.#request.asset_id = :id" if asset.request else ""),
            "ExpressionAttributeNames": _STATUS | ({"#request": asset.request} if asset.request else {}),
            "ExpressionAttributeValues": _values(now=asset.updated_at, canceled="canceled", redacted="redacted")
            | (_values(id=asset.id) if asset.request else {}),
        }
        self._transact([{"Put": put}, {"ConditionCheck": check}])

    def begin_submission(self, intent: Asset, before: Asset) -> None:
        """See the port. One transaction: the asset, and a check of its session's consent."""
        as_before = "#status = :before AND ambiguous_submissions = :count"
        values = {"before": before.status, "count": before.ambiguous_submissions}
        check: ConditionCheckTypeDef = {
            "TableName": self._table,
            "Key": session_key(intent.session_id),
            "ConditionExpression": f"attribute_exists(pk) AND {PERMITTED}",
            "ExpressionAttributeValues": _values(now=intent.updated_at),
        }
        self._transact([{"Put": self._put(intent, as_before, values)}, {"ConditionCheck": check}])

    def _put(self, asset: Asset, condition: str, values: Item) -> PutTypeDef:
        """Returns the put of an asset under ``condition``. It also succeeds when repeated after a lost response."""
        mine = {"mine": asset.submitting_by} if asset.submitting_by else {}
        own_write = "#status = :to AND updated_at = :now" + (" AND submitting_by = :mine" if mine else "")
        return {
            "TableName": self._table,
            "Item": asset_item(asset),
            "ConditionExpression": f"{condition} OR ({own_write})",
            "ExpressionAttributeNames": _STATUS,
            "ExpressionAttributeValues": _values(**values, **mine, to=asset.status, now=asset.updated_at),
        }

    def keep_earlier_id(self, asset: Asset) -> None:
        """See the port."""
        with translated():
            self._client.put_item(TableName=self._table, Item=earlier_id_item(asset))

    # -- helpers ----------------------------------------------------------------------------------------------

    def _transact(self, items: Sequence[TransactWriteItemTypeDef], token: str | None = None) -> None:
        """Writes all items or none, and retries after conflicts. Raises as ``translated`` does."""
        asked: TransactWriteItemsInputTypeDef = {"TransactItems": items}
        if token:
            asked["ClientRequestToken"] = token
        with translated():
            despite_conflicts(lambda: self._client.transact_write_items(**asked), self._conflict_seconds)

    def _get(self, key: Item) -> Item | None:
        with translated():
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _update(
        self,
        key: Item,
        update: str,
        condition: str,
        values: Item,
        names: dict[str, str] | None = None,
        **options: str,
    ) -> Item:
        used = (names or {}) | (_STATUS if "#status" in update + condition else {})
        named = {"ExpressionAttributeNames": used} if used else {}
        return update_item(self._client, self._table, key, update, condition, values, **named, **options)

    def _update_if(
        self, key: Item, update: str, condition: str, values: Item, names: dict[str, str] | None = None
    ) -> bool:
        try:
            self._update(key, update, condition, values, names)
        except ConditionFailed:
            return False
        return True


def write_and_count(
    client: DynamoDBClient,
    table: str,
    writes: Sequence[TransactWriteItemTypeDef],
    kind: str,
    at: float,
    seen: History,
) -> bool:
    """Does ``writes``, and adds ``seen`` to the poll history of ``kind`` in the month of ``at``, in one transaction.

    Returns False when it was canceled not by a condition of ``writes``. botocore sends the same token with all retries
    of a call, so that a retry does not count twice. Raises ClientError.
    """
    count = history_update(table, kind, at, seen)
    try:
        client.transact_write_items(TransactItems=[*writes, {"Update": count}])
    except ClientError as exc:
        reasons = [each.get("Code") for each in exc.response.get("CancellationReasons", [])]
        if not reasons or "ConditionalCheckFailed" in reasons:
            raise
        return False
    return True


def _reading(index: str, partition_key: str, prefix: str, bounds: tuple[str, str, str], shown: str) -> _Reading:
    """Returns the reading of an index, not yet started. ``bounds``: the client, the oldest and newest ULID."""
    client_id, oldest, newest = bounds
    return _Reading(
        {
            "IndexName": index,
            "KeyConditionExpression": f"{partition_key} = :client AND id BETWEEN :oldest AND :newest",
            "ExpressionAttributeValues": _values(client=client_id, oldest=prefix + oldest, newest=prefix + newest),
            "ProjectionExpression": shown,
            "ExpressionAttributeNames": {name: name[1:] for name in re.findall(r"#\w+", shown)},
            "ScanIndexForward": False,
        }
    )
