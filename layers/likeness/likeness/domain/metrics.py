"""The names and units of all metrics (docs/operations.md explains each one)."""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """A metric of namespace ``Likeness``. Its dimension is ``service``; some have a second set of dimensions.

    The dimensions have few, known values: never an id, never a client.
    """

    # From stored changes.
    SESSIONS_CREATED = "SessionsCreated"
    ATTEMPTS_STARTED = "AttemptsStarted"
    ATTEMPTS_LAPSED = "AttemptsLapsed"
    ATTEMPTS_FAILED = "AttemptsFailed"  # by code
    SESSIONS_VERIFIED = "SessionsVerified"
    SECONDS_TO_VERIFIED = "SecondsToVerified"
    ASSETS_ACTIVE = "AssetsActive"
    ASSETS_FAILED = "AssetsFailed"  # by code
    SECONDS_TO_ACTIVE = "SecondsToActive"
    CONSENTS_GIVEN = "ConsentsGiven"
    CONSENTS_WITHDRAWN = "ConsentsWithdrawn"
    CONSENTS_EXPIRED = "ConsentsExpired"
    GENERATIONS_ENDED = "GenerationsEnded"  # by status
    GENERATION_CREDITS = "GenerationCredits"
    SECONDS_TO_SUCCEEDED = "SecondsToSucceeded"

    # From requests to crun.
    CRUN_CALL_SECONDS = "CrunCallSeconds"  # by call and outcome; the number of values is the number of calls
    PERMIT_WAIT_SECONDS = "GovernorWaitSeconds"
    CRUN_CREDITS_LEFT = "CrunCreditsLeft"
    #: An asset that was active and that crun has lost.
    ASSET_LOST = "AssetLost"
    #: Stalled work that was restarted.
    RECONCILED = "Reconciled"  # by cause
    #: crun refused our key, credits or feature: an operator has to act.
    CRUN_ACCOUNT_REFUSED = "CrunAccountRefused"
    #: An upload that may exist at crun under an id that we do not know.
    POSSIBLE_ORPHAN = "PossibleOrphan"

    # From the queues' consumers. SQS' own metric of age excludes messages that were received more than three times.
    ONBOARDING_MESSAGE_SECONDS = "OnboardingMessageSeconds"
    WEBHOOK_FIRST_TRY_SECONDS = "WebhookFirstTrySeconds"
    #: A message for a paused webhook endpoint, or one that has paused it.
    WEBHOOK_ENDPOINT_PAUSED = "WebhookEndpointPaused"

    @property
    def unit(self) -> str:
        """CloudWatch's name of the unit."""
        return "Seconds" if "Seconds" in self.value else "Count"
