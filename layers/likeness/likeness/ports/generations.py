"""Ports of generations: their rows and ledger, crun's tasks, and the media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # annotations alone need them
    from likeness.domain.asset import Asset
    from likeness.domain.generation import (
        Generation,
        GenerationFilter,
        GenerationPage,
        SavedMedia,
        Spending,
        TaskReport,
        UsePage,
    )
    from likeness.domain.polling import History
    from likeness.domain.session import Session

Place = tuple[str, str]


class GenerationStore(Protocol):
    """Generations, the ledger of uses and the clients' days. Every change is one conditional write, safe to repeat."""

    def create(self, generation: Generation, budget: float | None) -> None:
        """Stores a queued generation, its place in the list, and a use for each person, in one transaction.

        Its conditions: no generation has the id, each person's session is verified with the consent that was checked
        and permits intents, each asset is active under its id at crun, and the client's day has room for ``reserved``
        in ``budget``, where one is set. Raises ConditionFailed: read again to find out which one failed.
        """
        ...

    def intend(self, generation: Generation, by: str, now: float) -> Generation:
        """Stores the intent to call CreateTask, under the same conditions on people and assets; returns the generation.

        ``by`` names the invocation. Raises ConditionFailed when the generation is not queued, has an intent of another
        invocation, or a person or an asset is no longer as it was.
        """
        ...

    def release_intent(self, generation: Generation, now: float) -> None:
        """Removes the intent of a call that certainly did not happen. Does nothing when it is another one by now."""
        ...

    def record_task(self, generation: Generation, task_id: str, now: float) -> Generation:
        """Stores crun's id of the task; the generation is ``running``, also when it was ``uncertain``.

        Returns it. Raises ConditionFailed when it has another task, or has ended otherwise. A generation that was
        erased in the meantime gets the id all the same.
        """
        ...

    def record_report(
        self, generation: Generation, report: TaskReport, now: float, seen: History | None = None
    ) -> None:
        """Stores crun's final report, if there is none yet. Does nothing when the generation has ended.

        ``seen`` is added to the poll history of the model when the report is stored. Of a report on a generation that
        was erased in the meantime, what is personal is not stored.
        """
        ...

    def end(self, generation: Generation, before: Generation) -> None:
        """Stores the outcome: the generation, each person's entry in the ledger, and the credits of the client's day.

        One transaction. ``before`` is the generation as it was read: the reservation is replaced by the credits.
        Of one that was erased, crun's words are left out. Raises ConditionFailed when its status or intent has changed,
        or when it has media to store and was erased, or a person was, or has withdrawn.
        """
        ...

    def may_ask(self, generation_id: str, now: float) -> bool:
        """Takes the turn to ask TaskInfo for a callback. Returns False when another one did in ASK_SECONDS."""
        ...

    def next_execution(self, generation: Generation) -> Generation:
        """Counts an execution that ended without an outcome; returns the generation with the next one's name."""
        ...

    def erase(self, generation: Generation, now: float) -> None:
        """Removes prompt, media, reference, report and crun's words from the row, and keeps ids and times.

        May be repeated.
        """
        ...

    def get(self, generation_id: str) -> Generation | None:
        """The current generation (strongly consistent)."""
        ...

    def load(self, generation_ids: Sequence[str]) -> list[Generation]:
        """Those of these generations that exist, in the same order. Strongly consistent, in batches."""
        ...

    def of_task(self, task_id: str) -> str | None:
        """The id of the generation with this task at crun (eventually consistent)."""
        ...

    def list_generations(
        self, client_id: str, *, limit: int, cursor: str | None, wanted: GenerationFilter
    ) -> GenerationPage:
        """A page of the client's generations, newest first. Bounded work: a page with a filter may be short.

        Raises InvalidRequest for a cursor that is not valid.
        """
        ...

    def list_uses(self, session_id: str, *, limit: int, cursor: str | None = None, since: float = 0.0) -> UsePage:
        """A page of the uses of a person's likeness, newest first, not older than ``since`` (epoch seconds)."""
        ...

    def load_assets(self, places: Sequence[Place]) -> tuple[dict[str, Session], dict[str, Asset]]:
        """The sessions and assets at these (session id, asset id), by their ids. Strongly consistent, in batches."""
        ...

    def spending(self, client_id: str, at: float) -> Spending:
        """What the client has spent and reserved on the UTC day of ``at``."""
        ...


class CrunTasks(Protocol):
    """crun's generation. Every request raises UpstreamRefused, UpstreamDeferred or UpstreamAmbiguous, like ``Crun``."""

    def create_task(
        self,
        model: str,
        content: Mapping[str, Any],
        callback_url: str,
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> str:
        """POST CreateTask: returns the task_id. Costs credits, and is not idempotent."""
        ...

    def task(self, task_id: str, correlation_id: str | None = None, client_id: str | None = None) -> TaskReport | None:
        """GET TaskInfo: returns the report, None when crun does not know the task."""
        ...

    def estimate(
        self,
        model: str,
        content: Mapping[str, Any],
        correlation_id: str | None = None,
        client_id: str | None = None,
    ) -> float:
        """POST EstimateTask, or estimate-credits where that does not exist: returns the credits."""
        ...


class MediaFiles(Protocol):
    """The media of generations, in the upload bucket under ``generations/``."""

    def save(self, url: str, key: str, limit_bytes: int, seconds: float) -> SavedMedia:
        """Streams the file behind an untrusted URL into the bucket, with one try.

        The file's type decides the extension that is added to ``key``. ``seconds`` bounds the download. The problems
        are those of ``Downloads``, and ``format_unsupported``. Never raises for the URL or the server's behaviour;
        raises StorageUnavailable for the bucket. Saving the same key again replaces the file.
        """
        ...

    def url(self, key: str, content_type: str) -> str:
        """A presigned GET of a saved file for its reader, valid for at most an hour. A secret."""
        ...

    def erase(self, prefix: str) -> None:
        """Deletes all versions of all files with keys that begin with ``prefix``."""
        ...
