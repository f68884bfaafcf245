"""State SaveMedia: saves a task's results before crun's links expire, if the people still permit it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from likeness.domain.generation import Generation, GenerationStatus, Media, PersonUse, SavedMedia, TaskReport
from likeness.domain.session import Problem, Session, SessionStatus
from likeness.domain.terms import ConsentStatus
from likeness.errors import MediaNotFetched, UpstreamError, WorkInProgress
from likeness.steps.generations.recheck import places_of
from likeness.steps.generations.task_action import TaskAction, done, end, is_given_up

if TYPE_CHECKING:
    from likeness.ports.generations import CrunTasks, GenerationStore, MediaFiles
    from likeness.ports.system import Clock

#: The largest file that is saved.
MAX_MEDIA_BYTES = 200 * 1000 * 1000
#: All downloads of one invocation together. The rest of the function's 300 s stores the last file.
DOWNLOAD_SECONDS = 220.0
#: A status other than 200, which a further try with the same link does not change: the link has expired.
_DEAD_LINK = "status"
_UNAVAILABLE = Problem("media_unavailable", "Not all media could be fetched from crun")
_WITHHELD = {
    "erased": "A person was erased while the task was running",
    "consent_withdrawn": "A consent was withdrawn while the task was running",
    "consent_expired": "A consent expired while the task was running",
}


@dataclass(frozen=True, slots=True)
class SaveMedia:
    """Saves the media of one generation, under ``generations/<id>/``. ``deadline_seconds`` counts from its request."""

    store: GenerationStore
    crun: CrunTasks
    media: MediaFiles
    clock: Clock
    deadline_seconds: float

    def __call__(self, generation_id: str, polls: int = 0) -> TaskAction:
        """Stores the outcome ``succeeded``, with the media or the reason why there are none. Safe to repeat.

        Raises MediaNotFetched, UpstreamError, StorageUnavailable and WorkInProgress, which are worth a retry.
        """
        before = self.store.get(generation_id)
        if before is None or before.report is None or not before.report.succeeded or before.is_over:
            return done(polls)
        problem = self._withheld(before)
        media: tuple[Media, ...] = ()
        if problem is None:
            media, problem = self._saved(before)
            problem = self._withheld(before) or problem
        if problem is not None and problem.code in _WITHHELD:
            media = ()
        if not media:
            self.media.erase(before.media_prefix)  # also what an earlier invocation has saved
        if not end(self.store, self._ended(before, before.report, media, problem), before):
            current = self.store.get(generation_id)
            if current is not None and current.erased_at is not None:
                self.media.erase(before.media_prefix)  # the erasure had deleted what it found before the last file
                if not current.is_over:  # its report is erased as well
                    end(self.store, self._ended(current, before.report, (), _withheld("erased")), current)
            elif current is not None and not current.is_over:
                raise WorkInProgress("A person's consent has just changed")
        return done(polls, before.task_id)

    def _ended(
        self, generation: Generation, report: TaskReport, media: tuple[Media, ...], problem: Problem | None
    ) -> Generation:
        ended = generation.ended(GenerationStatus.SUCCEEDED, self.clock.now())
        return replace(ended, media=media, media_problem=problem, credits=report.credits)

    def _withheld(self, generation: Generation) -> Problem | None:
        """Why the media may not be kept, by the people's rows as they are now."""
        if generation.erased_at is not None:
            return _withheld("erased")
        if not generation.people:
            return None
        sessions, _ = self.store.load_assets(places_of(generation.people))
        code = _objection(generation.people, sessions, self.clock.now())
        return _withheld(code) if code else None

    def _saved(self, generation: Generation) -> tuple[tuple[Media, ...], Problem | None]:
        """Saves what can be saved. A link that is dead is replaced once, because crun may sign its links anew."""
        until = self.clock.now() + DOWNLOAD_SECONDS
        urls = generation.report.media_urls if generation.report else ()
        fresh = None if urls else self._fresh_urls(generation)
        saved = []
        for number, url in enumerate(urls or fresh or (), 1):
            one = self._one(generation, number, url, until)
            if one.problem == _DEAD_LINK:
                fresh = self._fresh_urls(generation) if fresh is None else fresh
                again = fresh[number - 1] if number <= len(fresh) else url
                one = one if again == url else self._one(generation, number, again, until)
            saved.append(one)
        media = tuple(
            Media(each.key, each.content_type, each.size_bytes, each.sha256) for each in saved if each.problem is None
        )
        return media, None if media and len(media) == len(saved) else _UNAVAILABLE

    def _fresh_urls(self, generation: Generation) -> Sequence[str]:
        """Returns the links of crun's report as it is now. Raises UpstreamError until the deadline."""
        try:
            report = self.crun.task(str(generation.task_id), generation.correlation_id, generation.client_id)
        except UpstreamError:
            if not is_given_up(generation, self.deadline_seconds, self.clock.now()):
                raise
            return ()
        return report.media_urls if report is not None else ()

    def _one(self, generation: Generation, number: int, url: str, until: float) -> SavedMedia:
        left = max(1.0, until - self.clock.now())
        saved = self.media.save(url, f"{generation.media_prefix}{number}", MAX_MEDIA_BYTES, left)
        if saved.retryable and not is_given_up(generation, self.deadline_seconds, self.clock.now()):
            raise MediaNotFetched(f"The media could not be fetched ({saved.problem})")
        return saved


def _withheld(code: str) -> Problem:
    return Problem(code, _WITHHELD[code])


def _objection(people: Iterable[PersonUse], sessions: Mapping[str, Session], now: float) -> str | None:
    """The first reason why media that show ``people`` may not be kept, by the weight of the reasons."""
    found = set()
    for person in people:
        session = sessions.get(person.session_id)
        if session is None or session.status is SessionStatus.REDACTED:
            return "erased"
        found.add(session.consent_status(now))
    if ConsentStatus.WITHDRAWN in found:
        return "consent_withdrawn"
    return "consent_expired" if ConsentStatus.EXPIRED in found else None
