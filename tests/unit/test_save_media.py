"""State SaveMedia: media are kept only for people who still permit it, and links that die are replaced once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from likeness.domain.generation import GenerationStatus, SavedMedia
from likeness.domain.session import Consent
from likeness.errors import (
    MediaNotFetched,
    RateLimited,
    StorageUnavailable,
    UpstreamAmbiguous,
    UpstreamError,
    UpstreamRefused,
)
from tests.unit.generation_harness import DEADLINE, LINK, FailingStore, GenerationHarness, harness_of
from tests.unit.step_harness import StepHarness

SECOND, FRESH = "https://cdn.test/2.png", "https://cdn.test/1.mp4?fresh"
DEAD = SavedMedia(problem="status")
AWAY = SavedMedia(problem="timeout", retryable=True)


@pytest.fixture
def at(harness: StepHarness) -> GenerationHarness:
    return harness_of(harness)


def test_media_are_saved_with_their_digests_in_the_ledger(at: GenerationHarness) -> None:
    session, _, shown = at.person()
    made = at.succeeded(shown, urls=(LINK, SECOND))
    assert at.save_media(made)["next"] == "done"
    row = at.row(made)
    assert (row.status, row.credits, row.media_problem) == (GenerationStatus.SUCCEEDED, 7.5, None)
    assert [each.key for each in row.media] == [f"generations/{made.id}/{n}.mp4" for n in (1, 2)]
    assert set(at.media.files) == {each.key for each in row.media}
    (use,) = at.uses(session)
    assert (use.outcome, use.reason) == ("succeeded", None)
    assert use.media_sha256 == (f"digest of {LINK}", f"digest of {SECOND}")


def test_the_downloads_share_the_time_of_the_function(at: GenerationHarness) -> None:
    made = at.succeeded(urls=(LINK, SECOND))
    at.media.during = lambda: setattr(at.clock, "at", at.clock.at + 100)
    at.save_media(made)
    assert [seconds for _, _, seconds in at.media.saved] == [220.0, 120.0]


def test_a_second_invocation_saves_nothing_again(at: GenerationHarness) -> None:
    made = at.succeeded()
    at.save_media(made)
    assert at.save_media(made)["next"] == "done"
    assert len(at.media.saved) == 1


@pytest.mark.parametrize("what", ["queued", "running", "failed"])
def test_without_a_success_nothing_is_saved(at: GenerationHarness, what: str) -> None:
    made = at.queued() if what == "queued" else at.running()
    if what == "failed":
        at.generations.record_report(made, at.report(made, "failed"), at.clock.now())
    assert at.save_media(made)["next"] == "done"
    assert at.media.saved == []
    assert not at.row(made).is_over


def test_a_link_that_does_not_work_now_is_tried_again(at: GenerationHarness) -> None:
    made = at.succeeded()
    at.media.problems.append(AWAY)
    with pytest.raises(MediaNotFetched):
        at.save_media(made)
    assert not at.row(made).is_over
    at.save_media(made)
    assert at.row(made).media


def test_after_the_deadline_a_link_that_does_not_work_is_given_up(at: GenerationHarness) -> None:
    made = at.succeeded()
    at.clock.at += DEADLINE
    at.media.problems.append(AWAY)
    at.save_media(made)
    problem = at.row(made).media_problem
    assert problem
    assert problem.code == "media_unavailable"


def test_a_dead_link_is_replaced_once(at: GenerationHarness) -> None:
    made = at.succeeded(urls=(LINK, SECOND))
    at.media.problems.append(DEAD)
    at.crun.reports.append(at.report(made, "success", media_urls=(FRESH, SECOND)))
    at.save_media(made)
    row = at.row(made)
    assert (len(row.media), row.media_problem) == (2, None)
    assert at.media.files[row.media[0].key] == FRESH


@pytest.mark.parametrize("fresh", [(LINK,), (FRESH,), None, ()])
def test_a_link_that_stays_dead_leaves_the_report_and_no_media(at: GenerationHarness, fresh: Any) -> None:
    session, _, shown = at.person()
    made = at.succeeded(shown)
    at.media.problems.extend([DEAD, DEAD])
    at.crun.reports.append(None if fresh is None else at.report(made, "success", media_urls=fresh))
    at.save_media(made)
    row = at.row(made)
    assert (row.status, row.media) == (GenerationStatus.SUCCEEDED, ())
    assert row.media_problem
    assert row.media_problem.code == "media_unavailable"
    assert row.report
    assert row.report.media_urls == (LINK,)
    (use,) = at.uses(session)
    assert (use.outcome, use.reason) == ("succeeded", "media_unavailable")


def test_what_could_be_saved_is_kept_without_the_rest(at: GenerationHarness) -> None:
    made = at.succeeded(urls=(LINK, SECOND))
    at.media.problems.extend([None, SavedMedia(problem="private_address")])
    at.save_media(made)
    row = at.row(made)
    assert len(row.media) == 1
    assert row.media_problem
    assert row.media_problem.code == "media_unavailable"
    assert at.crun.asked == [], "another link to the same address does not help"


def test_a_success_without_links_is_asked_for_once_more(at: GenerationHarness) -> None:
    made = at.succeeded(urls=())
    at.crun.reports.append(at.report(made, "success", media_urls=(FRESH,)))
    at.save_media(made)
    assert len(at.row(made).media) == 1


def test_crun_that_defers_the_question_for_a_link_is_asked_again_later(at: GenerationHarness) -> None:
    made = at.succeeded()
    at.media.problems.append(DEAD)
    at.crun.reports.append(RateLimited())
    with pytest.raises(RateLimited):
        at.save_media(made)
    assert not at.row(made).is_over


@pytest.mark.parametrize("links", [(LINK,), ()])
@pytest.mark.parametrize("error", [RateLimited(), UpstreamRefused(403), UpstreamAmbiguous()])
def test_after_the_deadline_crun_is_not_asked_for_links_any_longer(
    at: GenerationHarness, error: UpstreamError, links: tuple[str, ...]
) -> None:
    made = at.succeeded(urls=links)
    at.clock.at += DEADLINE
    at.media.problems.append(DEAD)
    at.crun.reports.append(error)
    at.save_media(made)
    row = at.row(made)
    assert row.status is GenerationStatus.SUCCEEDED
    assert row.media_problem
    assert row.media_problem.code == "media_unavailable"
    assert row.report
    assert row.report.media_urls == links


def withheld(at: GenerationHarness, made: Any, session: Any, code: str) -> None:
    row = at.row(made)
    assert (row.status, row.media) == (GenerationStatus.SUCCEEDED, ())
    assert row.media_problem
    assert row.media_problem.code == code
    assert at.media.files == {}
    assert row.credits == 7.5
    (use,) = at.uses(session)
    assert (use.outcome, use.reason, use.media_sha256) == ("withheld", code, ())


@pytest.mark.parametrize("during", [False, True])
def test_media_of_a_withdrawn_person_are_not_kept(at: GenerationHarness, during: bool) -> None:
    (session, _, shown), (_, _, other) = at.person(), at.person()
    made = at.succeeded(other, shown)
    if during:
        at.media.during = lambda: at.withdraw(session)
    else:
        at.withdraw(session)
    at.save_media(made)
    assert len(at.media.saved) == during
    withheld(at, made, session, "consent_withdrawn")


@pytest.mark.parametrize("during", [False, True])
def test_media_of_an_erased_person_are_not_kept(at: GenerationHarness, during: bool) -> None:
    session, _, shown = at.person()
    made = at.succeeded(shown)

    def erase() -> None:
        at.media.erase(f"generations/{made.id}/")
        at.people.store.redact_session(at.people.row(session), at.clock.now())

    if during:
        at.media.during = erase
    else:
        erase()
    at.save_media(made)
    withheld(at, made, session, "erased")


def test_media_of_a_person_whose_consent_has_expired_are_not_kept(at: GenerationHarness) -> None:
    session, files, shown = at.person()
    ends = at.clock.now() + 60
    consent = Consent("1", "2027-01-15T08:00:00+00:00", source="client", valid_until=ends)
    session = replace(session, consent=consent)
    at.people.store.create_session(session, files)
    made = at.succeeded(replace(shown, consent_given_at=consent.given_at))
    at.clock.at += 60
    at.save_media(made)
    withheld(at, made, session, "consent_expired")


def test_an_erasure_of_the_generation_while_it_is_saved_leaves_no_file(at: GenerationHarness) -> None:
    session, _, shown = at.person()
    made = at.succeeded(shown)

    def erase() -> None:  # as the erasure does: first the files that it finds, then the row
        at.media.erase(f"generations/{made.id}/")
        at.generations.erase(at.row(made), at.clock.now())

    at.media.during = erase
    at.save_media(made)
    row = at.row(made)
    assert (row.status, row.media) == (GenerationStatus.SUCCEEDED, ())
    assert at.media.files == {}
    assert at.uses(session)[0].outcome == "withheld"


@pytest.mark.parametrize("after", [False, True])
def test_an_outcome_whose_write_is_not_answered_is_stored_by_the_next_try(at: GenerationHarness, after: bool) -> None:
    made = at.succeeded()
    at.broken = FailingStore(at.generations, "end", after=after)
    with pytest.raises(StorageUnavailable):
        at.save_media(made)
    at.save_media(made)
    row = at.row(made)
    assert row.status is GenerationStatus.SUCCEEDED
    assert set(at.media.files) == {each.key for each in row.media}
