"""A generation: one task at crun that makes a video, with the people whose likeness it uses.

``queued → running → succeeded | failed | refused | uncertain | canceled``. A task costs credits and crun can neither
repeat nor list one safely, so the intent is stored before the call: ``queued`` with ``intended_at`` means that a call
may have happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from likeness.domain.fields import about, from_values
from likeness.domain.ids import GENERATION_ID as GENERATION_ID  # callers know it from here
from likeness.domain.ids import ulid
from likeness.domain.session import Problem
from likeness.errors import UpstreamRefused

#: An invocation that makes a call to crun has ended by then: the function's timeout is shorter.
INTENT_LEASE_SECONDS = 50.0
#: One call of TaskInfo for a generation in this time, however many callbacks arrive.
ASK_SECONDS = 5.0
#: The longest deadline that a deployment can have (parameter GenerationDeadlineSeconds).
LONGEST_DEADLINE_SECONDS = 5 * 86_400.0
#: The most people in one generation. A transaction holds 100 writes: a check and a use for each person, a check for
#: each asset (50), the generation, its place in the list and the client's day.
MAX_PEOPLE = 20
#: The most characters of crun's words that are kept.
_LONGEST_WORDS = 500
#: The code of the error of a task that has failed at crun.
FAILED = "generation_failed"
#: Stands in an error for crun's words, which may quote the prompt, after an erasure.
ERASED_WORDS = "The reason that crun gave was erased"


class GenerationStatus(StrEnum):
    """The status of a generation.

    ``refused``: crun has no task, because the likeness may not be used anymore, or crun has refused the request.
    ``failed``: crun had a task, and it failed. ``uncertain``: crun may have a task, or its outcome is not known.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    CANCELED = "canceled"


#: Statuses in which nothing more is done by itself.
ENDED = frozenset(GenerationStatus) - {GenerationStatus.QUEUED, GenerationStatus.RUNNING}
#: How a use of a likeness ended, in the ledger: as the generation, or ``withheld`` when its media were not kept,
#: because a consent was withdrawn or a person erased while it was running.
WITHHELD = "withheld"
#: The codes of ``media_problem`` with which media are withheld. Media that crun no longer has are not.
_WITHHOLDING = frozenset({"consent_withdrawn", "consent_expired", "erased"})


def generation_id(client_id: str, key: str) -> str:
    """``gen_`` and 26 characters that follow from the client and its Idempotency-Key: the same request, the same id."""
    digest = hashlib.sha256(f"{client_id}\n{key}".encode()).digest()
    return f"gen_{ulid(int.from_bytes(digest[:6], 'big'), digest[6:])}"


@dataclass(frozen=True, slots=True)
class PersonUse:
    """One person's part in a generation: the session, and its assets by our id and by crun's, in the same order.

    ``consent_given_at`` identifies the consent that was checked; None when the client answers for it.
    """

    session_id: str
    asset_ids: tuple[str, ...] = field(metadata=about(tuple))
    crun_asset_ids: tuple[str, ...] = field(metadata=about(tuple))
    consent_given_at: str | None = None


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What crun's TaskInfo says of a task. ``media_urls`` are secrets that expire.

    ``status`` is ``pending``, ``running``, ``success`` or ``failed``; another value of crun is kept, in lower case.
    ``credits`` is what the task has cost, None when crun does not say. Times are epoch seconds.
    """

    task_id: str
    status: str
    media_urls: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True))
    credits: float | None = None
    code: str | None = None
    message: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict, metadata=about(sparse=True))
    model_version: str | None = None
    provider: str | None = None
    completed_at: float | None = None
    duration_seconds: float | None = None
    #: ``param.callback_url``, by which a task is recognized as ours. Not stored.
    callback_url: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether crun has the media."""
        return self.status == "success"

    @property
    def is_over(self) -> bool:
        """Whether the status is final."""
        return self.status in ("success", "failed")


@dataclass(frozen=True, slots=True)
class Media:
    """A saved file of a generation: its key in the upload bucket, and the proof of its content (hex SHA-256)."""

    key: str
    content_type: str
    size_bytes: int
    sha256: str


class SavedMedia(NamedTuple):
    """The result of saving a file: what it is, or the ``problem`` as a code without secrets.

    ``key`` ends with the extension of ``content_type``, which follows from the file's first bytes. ``retryable``:
    whether the same request may succeed later.
    """

    key: str = ""
    content_type: str = ""
    size_bytes: int = 0
    sha256: str = ""
    problem: str | None = None
    retryable: bool = False


def _people(stored: Sequence[Mapping[str, Any]]) -> tuple[PersonUse, ...]:
    return tuple(from_values(PersonUse, each) for each in stored)


def _media(stored: Sequence[Mapping[str, Any]]) -> tuple[Media, ...]:
    return tuple(from_values(Media, each) for each in stored)


@dataclass(frozen=True, slots=True)
class Generation:
    """One video. Times are epoch seconds, credits are crun's.

    ``input`` is crun's own, with ``asset://`` ids of crun, as JSON text; it contains the prompt. ``body_sha256``
    identifies the request, so that another one under the same key is refused.
    """

    id: str = field(metadata=about(exported=True))
    #: Not ``client_id``: that would add the item to the index of the client's sessions.
    client_id: str = field(metadata=about(name="generation_client_id", exported=True))
    status: GenerationStatus = field(metadata=about(GenerationStatus, exported=True))
    model: str = field(metadata=about(exported=True))
    created_at: float = field(metadata=about(exported=True))
    updated_at: float = field(metadata=about(exported=True))
    body_sha256: str
    input: str = field(default="", metadata=about(erased=True))
    #: The caller's own input of crun's route, as JSON text, where ``input`` has other ids.
    given: str | None = field(default=None, metadata=about(erased=True))
    people: tuple[PersonUse, ...] = field(default=(), metadata=about(_people, sparse=True, exported=True))
    purpose: str | None = field(default=None, metadata=about(exported=True))
    reference: str | None = field(default=None, metadata=about(exported=True, erased=True))
    correlation_id: str | None = None
    #: The API's URL when it was asked for, for the address that crun calls back. Not a secret.
    base_url: str = ""
    #: Whether crun's own route made it, and the URL that its caller wants to be called.
    drop_in: bool = field(default=False, metadata=about(sparse=True, exported=True))
    callback_url: str | None = field(default=None, metadata=about(erased=True))
    #: When and by whom the intent to call CreateTask was stored. Without them, no call has happened.
    intended_at: float | None = None
    intended_by: str | None = None
    task_id: str | None = field(default=None, metadata=about(exported=True))
    #: When crun had the task.
    submitted_at: float | None = field(default=None, metadata=about(exported=True))
    #: When TaskInfo was last asked for by a callback.
    asked_at: float | None = None
    #: crun's final report, as soon as it is known.
    report: TaskReport | None = field(default=None, metadata=about(TaskReport, erased=True))
    media: tuple[Media, ...] = field(default=(), metadata=about(_media, sparse=True, exported=True, erased=True))
    #: Why a succeeded generation has no media: ``media_unavailable``, ``consent_withdrawn``, ``consent_expired`` or
    #: ``erased``.
    media_problem: Problem | None = field(default=None, metadata=about(Problem, exported=True))
    #: Why it has not succeeded.
    error: Problem | None = field(default=None, metadata=about(Problem, exported=True))
    #: What was reserved on the client's day, and what the task has cost.
    reserved: float = field(default=0.0, metadata=about(sparse=True, exported=True))
    credits: float | None = field(default=None, metadata=about(exported=True))
    #: What counts as spent on the client's day since it ended; None as long as only the reservation counts. One that
    #: was uncertain and runs again has both this and a status that is not final.
    settled: float | None = None
    ended_at: float | None = field(default=None, metadata=about(exported=True))
    #: How many executions have ended without an outcome; it is part of the next one's name.
    executions: int = field(default=0, metadata=about(sparse=True))
    erased_at: float | None = field(default=None, metadata=about(exported=True))

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done by itself."""
        return self.status in ENDED

    @property
    def is_erased(self) -> bool:
        """Whether it has ended, and an erasure is complete."""
        return self.is_over and self.erased_at is not None and self.without_words() is self

    def without_words(self) -> Generation:
        """The generation without crun's words in its error; itself when there are none."""
        error = self.error and without_words(self.error)
        return self if error == self.error else replace(self, error=error)

    @property
    def execution(self) -> str:
        """The name of its next execution."""
        return f"{self.id}-r{self.executions}" if self.executions else self.id

    @property
    def media_prefix(self) -> str:
        """The beginning of the keys of its media."""
        return f"generations/{self.id}/"

    @property
    def session_ids(self) -> list[str]:
        """The sessions of the people that it shows."""
        return [each.session_id for each in self.people]

    def task_url(self, signature: str) -> str:
        """The URL that crun calls when the task is over. A secret: it contains the signature."""
        return f"{self.base_url}/task/{self.id}/{signature}"

    @property
    def was_intended(self) -> bool:
        """Whether CreateTask may have been called without a known result."""
        return self.intended_at is not None and self.task_id is None

    @property
    def outcome(self) -> str | None:
        """How the uses of its people ended, for the ledger; None while it is not over."""
        if not self.is_over:
            return None
        is_withheld = self.media_problem is not None and self.media_problem.code in _WITHHOLDING
        return WITHHELD if self.status is GenerationStatus.SUCCEEDED and is_withheld else self.status.value

    @property
    def outcome_reason(self) -> str | None:
        """The code that explains the outcome, if it has one."""
        problem = (self.error or self.media_problem) if self.is_over else None
        return problem.code if problem else None

    @property
    def cost(self) -> float:
        """The credits that count as spent once it is over.

        What was reserved counts where crun has, or may have, a task and does not say what it cost. A task that
        crun never had costs nothing.
        """
        if self.status in (GenerationStatus.REFUSED, GenerationStatus.CANCELED):
            return 0.0
        return self.reserved if self.credits is None else self.credits

    def ended(self, status: GenerationStatus, now: float, error: Problem | None = None) -> Generation:
        """The generation with its outcome."""
        return replace(self, status=status, error=error, ended_at=now, updated_at=now)


def rejected(refusal: UpstreamRefused) -> Problem:
    """The problem of a generation whose task crun has refused to create. Its message ends with crun's words, if any."""
    listed = "; ".join(refusal.errors)[:_LONGEST_WORDS]
    words = listed or (refusal.detail if "://" not in refusal.detail else "")
    message = f"crun did not accept the request: {words}" if words else "crun did not accept the request"
    return Problem(refusal.code, message, str(refusal.upstream_code), upstream_message=words or None)


def failed(report: TaskReport) -> Problem:
    """The problem of a generation whose task has failed. Its message is crun's, for example of a moderation."""
    message = report.message or "crun reported that the task failed, without a reason"
    return Problem(FAILED, message, report.code, upstream_message=report.message)


def without_words(error: Problem) -> Problem:
    """The error without crun's words, which only one with a code of crun's has, or with FAILED.

    ``upstream_message`` does not show them all: it is not exported, and ``message`` may have the same words.
    """
    if error.upstream_code is None and error.code != FAILED:
        return error
    return replace(error, message=ERASED_WORDS, upstream_message=None)


@dataclass(frozen=True, slots=True)
class UseEntry:
    """An entry of the ledger of uses: one person in one generation. ``outcome`` is None until the generation has ended.

    Nothing personal: it stays after an erasure.
    """

    session_id: str
    generation_id: str
    client_id: str
    at: float
    model: str
    asset_ids: tuple[str, ...] = field(metadata=about(tuple))
    purpose: str | None = None
    outcome: str | None = None
    #: Why there are no media, or why the generation has not succeeded.
    reason: str | None = None
    media_sha256: tuple[str, ...] = field(default=(), metadata=about(tuple, sparse=True))
    ended_at: float | None = None


class Spending(NamedTuple):
    """A client's credits of one UTC day: what tasks have cost, and what is reserved for those that run."""

    spent: float = 0.0
    reserved: float = 0.0

    @property
    def committed(self) -> float:
        """What counts against a budget."""
        return self.spent + self.reserved

    def left(self, budget: float) -> float:
        """What is left of a budget for the day."""
        return max(0.0, budget - self.committed)


class GenerationFilter(NamedTuple):
    """Which of a client's generations a listing contains. None leaves a filter out."""

    status: str | None = None
    session_id: str | None = None


class GenerationPage(NamedTuple):
    """One page of a listing, newest first; ``cursor`` is None on the last one."""

    generations: list[Generation]
    cursor: str | None


class UsePage(NamedTuple):
    """One page of a person's uses, newest first; ``cursor`` is None on the last one."""

    uses: list[UseEntry]
    cursor: str | None
