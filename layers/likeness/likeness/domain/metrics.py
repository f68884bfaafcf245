"""What is measured: all names, with their units (docs/operations.md says what each one means)."""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """A metric of namespace ``Likeness``. Its dimension is ``service``; some have a second set of dimensions besides.

    The dimensions' values are few and known: never an id, never a client.
    """

    # From the changes that were stored.
    SESSIONS_CREATED = "SessionsCreated"
    ATTEMPTS_STARTED = "AttemptsStarted"
    ATTEMPTS_LAPSED = "AttemptsLapsed"
    ATTEMPTS_FAILED = "AttemptsFailed"  # by code
    SESSIONS_VERIFIED = "SessionsVerified"
    SECONDS_TO_VERIFIED = "SecondsToVerified"
    ASSETS_ACTIVE = "AssetsActive"
    ASSETS_FAILED = "AssetsFailed"  # by code
    SECONDS_TO_ACTIVE = "SecondsToActive"

    # From the calls to crun.
    CRUN_CALL_SECONDS = "CrunCallSeconds"  # by call and outcome; how many values there are is how many calls
    PERMIT_WAIT_SECONDS = "GovernorWaitSeconds"
    CRUN_CREDITS_LEFT = "CrunCreditsLeft"
    #: An asset that was active and that crun has lost.
    ASSET_LOST = "AssetLost"
    #: Work that stood still and was set going again.
    RECONCILED = "Reconciled"  # by cause
    #: crun refused our key, credits or feature: somebody has to act.
    CRUN_ACCOUNT_REFUSED = "CrunAccountRefused"
    #: An upload that may live at crun without our knowing its id.
    POSSIBLE_ORPHAN = "PossibleOrphan"

    # From the queues' readers. SQS' own metric of age leaves out what was received more than three times.
    ONBOARDING_MESSAGE_SECONDS = "OnboardingMessageSeconds"
    WEBHOOK_FIRST_TRY_SECONDS = "WebhookFirstTrySeconds"
    #: A message that has met a paused webhook endpoint, or has paused it.
    WEBHOOK_ENDPOINT_PAUSED = "WebhookEndpointPaused"

    @property
    def unit(self) -> str:
        """CloudWatch's name of the unit."""
        return "Seconds" if "Seconds" in self.value else "Count"
