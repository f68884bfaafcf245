"""The metrics of stored changes.

They are counted from the stream, so only stored changes count. The stream delivers at least once: a batch that is
delivered again after an error is counted again, so the values may be slightly too high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from likeness.contracts.events import AssetChange, Change, GenerationChange, SessionChange
from likeness.domain.asset import AssetStatus
from likeness.domain.generation import GenerationStatus
from likeness.domain.metrics import Metric
from likeness.domain.session import SessionStatus

#: The code of an attempt with an unused link.
_LAPSED = "link_expired"
_OF_CONSENT = {
    "likeness.consent.given": Metric.CONSENTS_GIVEN,
    "likeness.consent.withdrawn": Metric.CONSENTS_WITHDRAWN,
    "likeness.consent.expired": Metric.CONSENTS_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of a metric; ``code`` is the cause of a failure, ``status`` an outcome."""

    metric: Metric
    value: float = 1
    code: str | None = None
    status: str | None = None

    @property
    def dimensions(self) -> dict[str, str]:
        """The metric's further dimensions."""
        return {name: each for name, each in (("code", self.code), ("status", self.status)) if each}


def measures_of(change: Change) -> Iterator[Measure]:
    """The values that ``change`` adds; none when it does not change a status."""
    if isinstance(change, GenerationChange):
        return _of_generation(change)
    return _of_session(change) if isinstance(change, SessionChange) else _of_asset(change)


def _of_session(change: SessionChange) -> Iterator[Measure]:
    before, after = change.before, change.after
    if before is None:
        yield Measure(Metric.SESSIONS_CREATED)
    started = len(after.attempts) - len(before.attempts if before else ())
    if started > 0:
        yield Measure(Metric.ATTEMPTS_STARTED, started)
        yield Measure(Metric.SESSIONS_VERIFIED, 0)  # an alarm compares the two metrics, so both must have data
    if not change.has_new_status:
        metric = _OF_CONSENT.get(change.event.type) if change.event else None
        if metric:
            yield Measure(metric)
        return
    if after.status is SessionStatus.REQUIRES_INPUT and after.last_error:
        code = after.last_error.code
        yield Measure(Metric.ATTEMPTS_LAPSED) if code == _LAPSED else Measure(Metric.ATTEMPTS_FAILED, code=code)
    if after.status is SessionStatus.VERIFIED:
        yield Measure(Metric.SESSIONS_VERIFIED)
        if after.verified_at is not None:
            yield Measure(Metric.SECONDS_TO_VERIFIED, after.verified_at - after.created_at)


def _of_asset(change: AssetChange) -> Iterator[Measure]:
    after = change.after
    if change.event is None:
        return
    if after.status is AssetStatus.FAILED:
        yield Measure(Metric.ASSETS_FAILED, code=after.error.code if after.error else "unknown")
    if after.status is AssetStatus.ACTIVE:
        yield Measure(Metric.ASSETS_ACTIVE)
        # A duplicate of an active file has no waiting time.
        if after.activated_at is not None and after.submitted_at is not None:
            yield Measure(Metric.SECONDS_TO_ACTIVE, after.activated_at - after.submitted_at)


def _of_generation(change: GenerationChange) -> Iterator[Measure]:
    before, after = change.before, change.after
    if before is None or not change.has_ended:
        return
    yield Measure(Metric.GENERATIONS_ENDED, status=after.status.value)
    # One that was uncertain has been counted with its reservation: the rest is a correction, which may be negative.
    spent = (after.settled or 0.0) - (before.settled or 0.0)
    if spent:
        yield Measure(Metric.GENERATION_CREDITS, spent)
    if after.status is GenerationStatus.SUCCEEDED and after.ended_at is not None:
        yield Measure(Metric.SECONDS_TO_SUCCEEDED, after.ended_at - after.created_at)
