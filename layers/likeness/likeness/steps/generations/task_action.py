"""The next action of ``make_generation``, which CreateTask, PollTask and SaveMedia return, and known outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypedDict

from likeness.domain.generation import Generation, GenerationStatus, failed
from likeness.domain.polling import Schedule
from likeness.errors import ConditionFailed

if TYPE_CHECKING:
    from likeness.ports.crun import PollHistory
    from likeness.ports.generations import GenerationStore

#: A task that was created late has this long at least before its outcome counts as unknown.
_SHORTEST_RUN_SECONDS = 3600.0


class TaskAction(TypedDict):
    """The execution's next action, in the form that the state machine reads.

    ``wait_seconds`` is the pause before the next poll, ``round`` the number of polls so far. ``task_id`` is crun's, as
    soon as it is known: so the execution's history has it, also when it could not be stored. ``asked_at`` (epoch
    seconds) is a time at which the task was not over, None when no such time is known.
    """

    next: Literal["wait", "save", "done"]
    wait_seconds: int
    round: int
    task_id: str | None
    asked_at: float | None


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """When to ask for a task again, from a schedule and from the history of its model, and when to stop.

    ``deadline_seconds`` counts from the request.
    """

    schedule: Schedule
    history: PollHistory
    deadline_seconds: float

    def pause(self, generation: Generation, now: float, retry_after: float = 0) -> int:
        """Whole seconds until the next poll, at least 1."""
        history = self.history.of(generation.model, now)
        return self.schedule.next_delay(round(age_of(generation, now)), history, retry_after=retry_after)

    def is_given_up(self, generation: Generation, now: float) -> bool:
        """Whether it is too late to wait for the outcome."""
        return is_given_up(generation, self.deadline_seconds, now)

    def may_not_start(self, generation: Generation, now: float) -> bool:
        """Whether it is too late to create the task."""
        return now >= generation.created_at + self.deadline_seconds


def is_given_up(generation: Generation, deadline_seconds: float, now: float) -> bool:
    """Whether it is too late to wait for the outcome. ``deadline_seconds`` counts from the request."""
    return now >= generation.created_at + deadline_seconds and age_of(generation, now) >= _SHORTEST_RUN_SECONDS


def age_of(generation: Generation, now: float) -> float:
    """How long crun has had the task, in seconds."""
    return max(0.0, now - (generation.created_at if generation.submitted_at is None else generation.submitted_at))


def done(polls: int = 0, task_id: str | None = None) -> TaskAction:
    """The action of an execution that has no work left. A Wait needs a number, also when it is not reached."""
    return {"next": "done", "wait_seconds": 1, "round": polls, "task_id": task_id, "asked_at": None}


def wait(seconds: int, polls: int = 0, task_id: str | None = None, asked_at: float | None = None) -> TaskAction:
    """The action of an execution that asks again after ``seconds``."""
    return {"next": "wait", "wait_seconds": seconds, "round": polls, "task_id": task_id, "asked_at": asked_at}


def settle(store: GenerationStore, generation: Generation, now: float, polls: int = 0) -> TaskAction:
    """The action after crun's final report, which ``generation`` has: the media of a success, or the end of a failure.

    A failure is stored. Whoever stores another outcome first is right.
    """
    report = generation.report
    if report is not None and report.succeeded:
        return done(polls, generation.task_id) | {"next": "save"}
    if report is not None:
        ended = replace(generation.ended(GenerationStatus.FAILED, now, failed(report)), credits=report.credits)
        end(store, ended, generation)
    return done(polls, generation.task_id)


def end(store: GenerationStore, ended: Generation, before: Generation) -> bool:
    """Stores an outcome; returns False when the generation has changed in the meantime."""
    try:
        store.end(ended, before)
    except ConditionFailed:
        return False
    return True
