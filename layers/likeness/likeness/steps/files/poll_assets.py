"""State PollAssets: polls crun for all processing assets of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from likeness.contracts.messages import AssetsReady
from likeness.domain.asset import Asset, AssetStatus, crun_failure, refused
from likeness.domain.crun import AssetReport, UpstreamProblem
from likeness.domain.polling import NEVER, NOTHING_SEEN, History, observed
from likeness.domain.session import Problem, Session
from likeness.errors import ACCOUNT_REFUSALS, ConditionFailed, UpstreamError, UpstreamRefused
from likeness.ports.crun import Crun
from likeness.ports.files import AssetStore
from likeness.ports.system import Clock, Queue
from likeness.steps.files.next_action import (
    HAND_OVER_SECONDS,
    LONGEST_SECONDS,
    MAX_POLLS,
    NextAction,
    PollPolicy,
    done,
    finish,
    next_action,
)

#: For this long after an upload, crun may answer "not found" for a new AssetId.
_NOT_FOUND_GRACE_SECONDS = 60
#: Later, a single "not found" may be an error. The asset fails if crun repeats it after this long.
NOT_FOUND_APART_SECONDS = 5
_NOT_FOUND = 404
_TIMEOUT = "activation_timeout"
#: The longest wait when crun defers without a time. The schedule's pauses grow with the age and cover the rest.
_SHORT_PAUSE_SECONDS = 15
#: How far the first asset moves from poll to poll. It is a prime, so that every asset comes first at some time.
_STEP = 13


@dataclass(frozen=True, slots=True)
class PollAssets:
    """Polls and stores the changes. ``refused()`` counts the polls in which crun refused the account."""

    store: AssetStore
    crun: Crun
    queue: Queue
    clock: Clock
    poll_policy: PollPolicy
    refused: Callable[[], None]

    def __call__(
        self,
        session_id: str,
        execution: str,
        polls: int,
        asked_at: float | None = None,
        *,
        started_at: float | None = None,
    ) -> NextAction:
        """Returns the next action (see next_action.py).

        ``asked_at`` comes from the previous poll; without it, the poll adds nothing to the history. ``started_at`` is
        when the execution started (epoch seconds): an old execution hands over to a new one.
        """
        now = self.clock.now()
        session, assets = self.store.load(session_id)
        # A poll that is repeated after it released the session claims it again.
        if session is None:
            return done(polls)
        if session.driver != execution and not self.store.claim_driver(session_id, execution, None):
            return done(polls)
        pending = [each for each in assets if each.status is AssetStatus.PROCESSING and each.crun_asset_id]
        reports = self._ask(pending, polls, session)
        if any(
            isinstance(each, UpstreamRefused) and each.upstream_code in ACCOUNT_REFUSALS for each in reports.values()
        ):
            self.refused()
        # Files that share an AssetId are one file at crun, so the history counts only the last of them.
        counted = {each.crun_asset_id: each.id for each in pending}.values()
        moved = {
            each.id: self._move(
                each, reports[str(each.crun_asset_id)], now, asked_at, session, counts=each.id in counted
            )
            for each in pending
        }
        after = [moved.get(each.id, each) for each in assets]
        retry_after = max(map(_asked_to_wait, reports.values()), default=0)
        # If crun did not answer for an asset, the previous poll stays the last complete one.
        known_at = now if all(isinstance(each, AssetReport) for each in reports.values()) else asked_at
        following = next_action(
            self.store,
            after,
            self.poll_policy,
            now,
            polls + 1,
            asked_at=known_at,
            retry_after=retry_after,
            permitted=session.is_permitted(now),
        )
        if following["next"] == "done":
            return finish(self.store, session_id, execution, self.poll_policy, now, polls + 1)
        age = 0 if started_at is None else now - started_at
        too_old = age >= HAND_OVER_SECONDS or age + following["wait_seconds"] >= LONGEST_SECONDS
        if following["round"] > MAX_POLLS or too_old:
            return self._hand_over(session, execution)
        return following

    def _ask(self, pending: list[Asset], polls: int, session: Session) -> dict[str, AssetReport | UpstreamProblem]:
        # The rate limiter may not grant a permit for every asset. Each poll starts at another one: all get a turn.
        start = polls * _STEP % len(pending) if pending else 0
        # Files with the same bytes share an AssetId.
        wanted = list(dict.fromkeys(str(each.crun_asset_id) for each in pending[start:] + pending[:start]))
        try:
            return self.crun.asset_reports(wanted, session.correlation_id, session.client_id) if wanted else {}
        except UpstreamError as problem:
            return dict.fromkeys(wanted, problem)

    def _hand_over(self, session: Session, execution: str) -> NextAction:
        # Release first: the consumer of the message starts nothing while the driver is running.
        self.store.release_driver(session.id, execution)
        more = AssetsReady(session_id=session.id, correlation_id=session.correlation_id)
        self.queue.send(more.to_json(), delay_seconds=1)
        return done(0)

    def _move(
        self,
        asset: Asset,
        report: AssetReport | UpstreamProblem,
        now: float,
        asked_at: float | None,
        session: Session,
        *,
        counts: bool,
    ) -> Asset:
        changed = self._judge(asset, report, now)
        if changed is asset:
            return asset
        first_active = changed.status is AssetStatus.ACTIVE and session.active_at is None
        seen = self._seen(changed, now, asked_at) if counts else NOTHING_SEEN
        if changed.crun_asset_id is None:
            self.store.keep_earlier_id(asset)  # clients have seen this AssetId and may look it up
        try:
            self.store.change_asset(changed, [AssetStatus.PROCESSING], seen, first_active=first_active)
        except ConditionFailed:
            return self.store.get_asset(asset.session_id, asset.id) or asset
        return changed

    def _seen(self, asset: Asset, now: float, asked_at: float | None) -> History:
        if asset.error and asset.error.code == _TIMEOUT:
            return NEVER
        if asset.status is not AssetStatus.ACTIVE or asset.submitted_at is None or asked_at is None:
            return NOTHING_SEEN
        known = self.poll_policy.history.of(asset.asset_type, now)
        return observed(asked_at - asset.submitted_at, now - asset.submitted_at, known)

    def _judge(self, asset: Asset, report: AssetReport | UpstreamProblem, now: float) -> Asset:
        age = asset.seconds_at_crun(now)
        if isinstance(report, AssetReport):
            asset = asset.found_again()
        if isinstance(report, AssetReport) and report.status == "Active":
            return asset.activated(now)
        if isinstance(report, AssetReport) and report.status == "Failed":
            return self._failed(asset, crun_failure(report.error_code, report.error_message), now)
        if (
            isinstance(report, UpstreamRefused)
            and report.upstream_code == _NOT_FOUND
            and age > _NOT_FOUND_GRACE_SECONDS
        ):
            if asset.missing_since is None:
                asset = asset.missed(now)
            elif now >= asset.missing_since + NOT_FOUND_APART_SECONDS:
                return self._failed(asset, refused(report), now)
        if self.poll_policy.schedule.expired(age):
            late = Problem(_TIMEOUT, "The file was not activated in time.", retryable=True)
            return self._failed(asset, late, now)
        # Processing, an undocumented status, or no answer: poll again until the deadline.
        return asset

    @staticmethod
    def _failed(asset: Asset, problem: Problem, now: float) -> Asset:
        if problem.code == "download_failed" and asset.resubmissions == 0:
            # The presigned URL may have expired with the credentials that signed it: sign and submit once more.
            return asset.resubmission_due(now)
        return asset.failed(problem, now)


def _asked_to_wait(report: AssetReport | UpstreamProblem) -> int:
    if not isinstance(report, UpstreamError):
        return 0
    return report.asked_to_wait or min(report.retry_after or 0, _SHORT_PAUSE_SECONDS)
