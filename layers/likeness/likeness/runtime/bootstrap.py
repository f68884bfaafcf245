"""Creates clients and steps. Each function calls its factory once, while it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from likeness.adapters.aws import CONFLICT_SECONDS, make_client, make_media_client, typed_by_service
from likeness.adapters.table.dynamodb import DynamoStore
from likeness.domain.metrics import Metric
from likeness.domain.terms import TermsPolicy
from likeness.runtime.logging import logger, report, report_of_one, session_created
from likeness.runtime.metrics import measure
from likeness.runtime.settings import number, text
from likeness.runtime.system import SystemClock

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from likeness.adapters.consent_texts import ConsentTexts
    from likeness.adapters.files import S3Files
    from likeness.adapters.http.crun_client import CrunClient
    from likeness.adapters.http.crun_tasks import CrunTasksClient
    from likeness.adapters.media_files import S3MediaFiles
    from likeness.adapters.queue import SqsQueue
    from likeness.adapters.secrets import RotatingKeys, Secret
    from likeness.adapters.table.client_keys import DynamoClientKeys
    from likeness.adapters.table.generations import DynamoGenerations
    from likeness.adapters.table.rate_limiter import RateLimiter
    from likeness.adapters.table.receipts import DynamoReceipts
    from likeness.adapters.table.upstream_ids import DynamoUpstreamIds
    from likeness.adapters.workflows import StepFunctions
    from likeness.contracts.messages import Message
    from likeness.contracts.webhooks import WebhookMessage
    from likeness.domain.crun import CrunCall
    from likeness.domain.generation import Media
    from likeness.domain.polling import Schedule
    from likeness.runtime.batches import QueueConsumer
    from likeness.runtime.idempotency import Idempotency
    from likeness.runtime.operator_info import OperatorInfo
    from likeness.steps.crun_routes.fetch_asset import FetchAsset
    from likeness.steps.crun_routes.get_result import GetResult
    from likeness.steps.crun_routes.get_task import GetTask
    from likeness.steps.crun_routes.open_validation import OpenValidation
    from likeness.steps.crun_routes.relay_task import RelayTask
    from likeness.steps.crun_routes.retry_policy import RetryPolicy
    from likeness.steps.files.check_upload import CheckUpload
    from likeness.steps.files.claim_assets import ClaimAssets
    from likeness.steps.files.next_action import PollPolicy
    from likeness.steps.files.poll_assets import PollAssets
    from likeness.steps.files.register_asset import RegisterAsset
    from likeness.steps.files.request_files import RequestFiles
    from likeness.steps.files.retry_asset import RetryAsset
    from likeness.steps.files.submit_asset import SubmitAsset
    from likeness.steps.generations.cancel_generation import CancelGeneration
    from likeness.steps.generations.create_generation import CreateGeneration
    from likeness.steps.generations.create_task import CreateTask
    from likeness.steps.generations.erase_generations import EraseGenerations
    from likeness.steps.generations.get_generation import GetGeneration
    from likeness.steps.generations.guard import Guard
    from likeness.steps.generations.poll_task import PollTask
    from likeness.steps.generations.receive_task import ReceiveTask
    from likeness.steps.generations.reconcile_generations import ReconcileGenerations
    from likeness.steps.generations.save_media import SaveMedia
    from likeness.steps.generations.store_generation import Origin, StoreGeneration
    from likeness.steps.generations.task_action import TaskPolicy
    from likeness.steps.notifications.manage_integration import ManageIntegration
    from likeness.steps.notifications.publish_changes import PublishChanges
    from likeness.steps.notifications.send_webhooks import SendWebhooks
    from likeness.steps.onboarding.authorize import Authorize
    from likeness.steps.onboarding.check_use import CheckUse
    from likeness.steps.onboarding.create_session import CreateSession
    from likeness.steps.onboarding.get_session import GetSession
    from likeness.steps.onboarding.issue_receipt import IssueReceipt
    from likeness.steps.onboarding.look_up_result import LookUpResult
    from likeness.steps.onboarding.open_link import OpenLink
    from likeness.steps.onboarding.receive_callback import ReceiveCallback
    from likeness.steps.onboarding.record_consent import RecordConsent
    from likeness.steps.onboarding.revoke_invite import RevokeInvite
    from likeness.steps.onboarding.start_onboarding import StartOnboarding
    from likeness.steps.onboarding.withdraw_consent import WithdrawConsent
    from likeness.steps.upkeep.check_credits import CheckCredits
    from likeness.steps.upkeep.erase_session import EraseAsset, EraseSession
    from likeness.steps.upkeep.export_inventory import ExportInventory
    from likeness.steps.upkeep.get_stats import GetStats
    from likeness.steps.upkeep.recheck_assets import RecheckAssets
    from likeness.steps.upkeep.reconcile import Reconcile

#: How long a request waits for a permit under CrunRequestsPer10s before it raises RateLimited. Together with one
#: request to crun, it is within API Gateway's timeout of 29 s.
_PERMIT_WAIT_SECONDS = 5.0
#: How long a write retries when hundreds of files were dropped into the same session.
_CROWD_SECONDS = 20.0
#: How long one call erases generations. A repetition continues. It is within API Gateway's timeout of 29 s, with the
#: session's own files.
_ERASURE_SECONDS = 15.0
# Creating a botocore client takes 20 ms, so each is created once.
_clients: dict[str, Any] = {}


@typed_by_service
def client(service: str) -> Any:
    """The low-level client of ``service``, created once per function instance."""
    if service not in _clients:
        _clients[service] = make_client(service)
    return _clients[service]


def media_client() -> S3Client:
    """The client of S3 for large files, created once per function instance."""
    if "media" not in _clients:
        _clients["media"] = make_media_client()
    found: S3Client = _clients["media"]
    return found


def store(conflict_seconds: float = CONFLICT_SECONDS) -> DynamoStore:
    """The inventory. ``conflict_seconds``: how long writes are retried after conflicts with others on the same item."""
    return DynamoStore(client("dynamodb"), text("TABLE_NAME"), conflict_seconds)


def _secret(name: str) -> Secret:
    from likeness.adapters.secrets import Secret

    return Secret(client("secretsmanager"), text(name))


def _signing_keys() -> RotatingKeys:
    from likeness.adapters.secrets import RotatingKeys

    return RotatingKeys(_secret("SIGNING_KEY_SECRET_ARN"))


def _rate_limiter(lane: str) -> RateLimiter:
    """``lane`` is ``interactive`` or ``background`` (see adapters/table/rate_limiter.py)."""
    from likeness.adapters.table.rate_limiter import Lane, RateLimiter

    return RateLimiter(
        client("dynamodb"),
        text("TABLE_NAME"),
        int(number("CRUN_REQUESTS_PER_10S")),
        Lane(lane),
        time.time,
        time.sleep,
        _PERMIT_WAIT_SECONDS,
        partial(measure, Metric.PERMIT_WAIT_SECONDS),
    )


def _crun(admit: Callable[[int], int]) -> CrunClient:
    from likeness.adapters.http.crun_client import CrunClient

    return CrunClient(text("CRUN_BASE_URL"), _secret("CRUN_API_KEY_SECRET_ARN").value, admit, called=_crun_called)


def _crun_called(call: CrunCall) -> None:
    measure(Metric.CRUN_CALL_SECONDS, call.seconds, call=call.call, outcome=call.outcome)
    facts = {"call": call.call, "outcome": call.outcome, "seconds": round(call.seconds, 3)}
    more = {
        "upstream_code": call.upstream_code,
        "upstream_errors": call.errors or None,
        "correlation_id": call.correlation_id,
    }
    logger.info("crun called", extra=facts | {name: each for name, each in more.items() if each is not None})


def _queue() -> SqsQueue:
    from likeness.adapters.queue import SqsQueue

    return SqsQueue(client("sqs"), text("ONBOARDING_QUEUE_URL"))


def _files() -> S3Files:
    from likeness.adapters.files import S3Files

    return S3Files(client("s3"), text("UPLOAD_BUCKET_NAME"))


def _workflows() -> StepFunctions:
    from likeness.adapters.workflows import StepFunctions

    return StepFunctions(client("stepfunctions"), text("STATE_MACHINE_ARN"))


def _reconciled(cause: StrEnum) -> None:
    measure(Metric.RECONCILED, cause=cause.value)


def _schedule() -> Schedule:
    from likeness.domain.polling import Schedule

    return Schedule(
        number("POLL_FIRST_DELAY_SECONDS"),
        number("POLL_BACKOFF_RATE"),
        number("POLL_MAX_DELAY_SECONDS"),
        number("POLL_DEADLINE_SECONDS"),
        number("POLL_DELAY_WEIGHT"),
    )


def _poll_policy() -> PollPolicy:
    from likeness.adapters.table.poll_history import DynamoPollHistory
    from likeness.steps.files.next_action import PollPolicy

    unread = partial(logger.warning, "poll_history_unread")
    return PollPolicy(_schedule(), DynamoPollHistory(client("dynamodb"), text("TABLE_NAME"), unread))


def _open_link() -> OpenLink:
    from likeness.steps.onboarding.open_link import OpenLink

    limiter = _rate_limiter("interactive")
    return OpenLink(
        _crun(limiter.admit),
        _queue(),
        _signing_keys(),
        lambda client_id: limiter.admit(1, client_id),
        int(number("LINK_CHECK_DELAY_SECONDS")),
    )


def _retry_policy() -> RetryPolicy:
    from random import SystemRandom

    from likeness.steps.crun_routes.retry_policy import RetryPolicy

    return RetryPolicy(SystemClock(), time.sleep, SystemRandom().random)


def _upstream_ids() -> DynamoUpstreamIds:
    from likeness.adapters.table.upstream_ids import DynamoUpstreamIds

    return DynamoUpstreamIds(client("dynamodb"), text("TABLE_NAME"))


def _generations() -> DynamoGenerations:
    from likeness.adapters.table.generations import DynamoGenerations

    return DynamoGenerations(client("dynamodb"), text("TABLE_NAME"))


def _generation_workflows() -> StepFunctions:
    from likeness.adapters.workflows import StepFunctions

    return StepFunctions(client("stepfunctions"), text("GENERATION_STATE_MACHINE_ARN"))


def _media_files() -> S3MediaFiles:
    """The media of generations, for functions that read or delete them."""
    from likeness.adapters.media_files import S3MediaFiles

    return S3MediaFiles(client("s3"), text("UPLOAD_BUCKET_NAME"))


def _media_url() -> Callable[[Media], str]:
    """Returns a function that presigns saved media. S3's client is made for the first: most responses have none."""
    text("UPLOAD_BUCKET_NAME")  # a setting that is missing is an error at the start
    return lambda media: _media_files().url(media.key, media.content_type)


def _guard() -> Guard:
    from likeness.domain.generation_models import permitted_models
    from likeness.steps.generations.guard import Guard

    return Guard(
        _generations(),
        _upstream_ids(),
        SystemClock(),
        _terms_policy(),
        permitted_models(text("GENERATION_MODELS").split(",")),
        text("UPLOAD_BUCKET_NAME"),
        time.sleep,
    )


def create_generation() -> CreateGeneration:
    """The step of functions/create_generation."""
    from likeness.steps.generations.create_generation import CreateGeneration

    return CreateGeneration(
        _store_generation(_generations(), _crun_tasks("interactive")),
        _generation_workflows(),
        _media_url(),
        text("GENERATION") == "on",
        report,
    )


def _store_generation(generations: DynamoGenerations, crun: CrunTasksClient) -> StoreGeneration:
    from likeness.steps.generations.store_generation import StoreGeneration

    return StoreGeneration(generations, _guard(), crun, SystemClock(), number("GENERATION_DAILY_CREDITS"))


def get_generation() -> GetGeneration:
    """The step of functions/get_generation."""
    from likeness.steps.generations.get_generation import GetGeneration

    return GetGeneration(_generations(), store(), _media_url())


def cancel_generation() -> CancelGeneration:
    """The step of functions/cancel_generation."""
    from likeness.steps.generations.cancel_generation import CancelGeneration

    return CancelGeneration(_generations(), _media_files(), SystemClock())


def origin() -> Callable[[Mapping[str, Any]], Origin]:
    """A function that returns the URL and the names of this API for a request's event (see runtime/request.py)."""
    from likeness.runtime.request import base_url, own_hosts
    from likeness.steps.generations.store_generation import Origin

    configured = text("PUBLIC_BASE_URL", may_be_empty=True)
    return lambda event: Origin(base_url(event, configured), own_hosts(event, configured))


def base_url() -> Callable[[Mapping[str, Any]], str]:
    """A function that returns the URL of this API for a request's event (see runtime/request.py)."""
    from likeness.runtime.request import base_url

    return partial(base_url, configured=text("PUBLIC_BASE_URL", may_be_empty=True))


def client_keys() -> DynamoClientKeys:
    """The clients' keys, for functions without an authorizer."""
    from likeness.adapters.table.client_keys import DynamoClientKeys

    return DynamoClientKeys(client("dynamodb"), text("TABLE_NAME"))


def authorize() -> Authorize:
    """The step of functions/authorize."""
    from likeness.steps.onboarding.authorize import Authorize

    return Authorize(client_keys(), _signing_keys(), SystemClock(), _receipts())


def _receipts() -> DynamoReceipts:
    from likeness.adapters.table.receipts import DynamoReceipts

    return DynamoReceipts(client("dynamodb"), text("TABLE_NAME"))


def issue_receipt() -> IssueReceipt:
    """The step of functions/issue_receipt."""
    import secrets

    from likeness.contracts.consent_receipt import Controller
    from likeness.steps.onboarding.issue_receipt import IssueReceipt

    texts = _consent_texts()
    operator = operator_info()
    controller = Controller(
        operator.name, operator.contact, client("dynamodb").meta.region_name, int(number("UPLOAD_RETENTION_DAYS"))
    )
    most = int(number("MAX_ATTEMPTS_PER_SESSION"))
    return IssueReceipt(store(), _receipts(), texts, SystemClock(), secrets.token_bytes, controller, most)


def create_session() -> CreateSession:
    """The step of functions/create_session."""
    from likeness.steps.onboarding.create_session import CreateSession

    most = int(number("MAX_ATTEMPTS_PER_SESSION"))
    keys = client_keys()
    terms = _configured_terms()
    return CreateSession(
        store(), _open_link(), _files(), _signing_keys(), SystemClock(), most, keys.has_any, session_created, terms
    )


def _configured_terms() -> TermsPolicy:
    """The rules for terms of a consent, with the operator's defaults and limit."""
    return _terms_policy(
        tuple(filter(None, text("CONSENT_PURPOSES", may_be_empty=True).split(","))),
        int(number("CONSENT_VALID_DAYS")),
        int(number("CONSENT_LONGEST_DAYS")),
    )


def _terms_policy(purposes: tuple[str, ...] = (), days: int = 0, longest_days: int = 0) -> TermsPolicy:
    """The rules for terms of a consent. The list of purposes is read when it is first needed."""
    version = text("CONSENT_VERSION")

    def known() -> Collection[str]:
        from likeness.adapters.consent_texts import read_purposes

        return read_purposes(version)

    return TermsPolicy(known, purposes, days, longest_days)


def idempotency(operation: str) -> Idempotency:
    """The stored responses of ``operation``; the name must not change (see runtime/idempotency.py)."""
    from likeness.runtime.idempotency import Idempotency

    return Idempotency(client("dynamodb"), text("IDEMPOTENCY_TABLE_NAME"), operation)


def open_validation() -> OpenValidation:
    """The step of functions/open_validation."""
    from likeness.steps.crun_routes.open_validation import OpenValidation

    return OpenValidation(store(), _open_link(), _retry_policy(), SystemClock(), session_created)


def get_result() -> GetResult:
    """The step of functions/get_result."""
    from likeness.steps.crun_routes.get_result import GetResult

    return GetResult(store(), _upstream_ids(), SystemClock(), time.sleep)


def fetch_asset() -> FetchAsset:
    """The step of functions/fetch_asset."""
    from likeness.adapters.http.downloads import HttpDownloads
    from likeness.steps.crun_routes.fetch_asset import FetchAsset

    return FetchAsset(
        store(),
        _upstream_ids(),
        HttpDownloads(loopback=text("ASSET_URL_LOOPBACK") == "allowed"),
        _files(),
        _queue(),
        _submit_asset("interactive"),
        _retry_policy(),
        SystemClock(),
        int(number("VIDEO_MAX_PIXELS")),
    )


def relay_task() -> RelayTask:
    """The step of functions/relay_task. The interactive lane, because a caller waits."""
    from likeness.steps.crun_routes.relay_task import RelayTask
    from likeness.steps.generations.create_task import CreateTask

    generations, crun, clock = _generations(), _crun_tasks("interactive"), SystemClock()
    create = CreateTask(generations, crun, _signing_keys(), clock, _task_policy(), time.sleep, for_caller=True)
    return RelayTask(
        _store_generation(generations, crun),
        generations,
        create,
        crun.balance,
        _generation_workflows(),
        _retry_policy(),
        clock,
        text("GENERATION") == "on",
        text("WEBHOOK_PRIVATE_ADDRESSES") == "allowed",
        report,
    )


def get_task() -> GetTask:
    """The step of functions/get_task."""
    from likeness.steps.crun_routes.get_task import GetTask

    account = _crun(_rate_limiter("interactive").admit).balance
    return GetTask(
        _generations(),
        _media_url(),
        account,
        _retry_policy(),
        SystemClock(),
        text("GENERATION") == "on",
        number("GENERATION_DAILY_CREDITS"),
    )


def get_session() -> GetSession:
    """The step of functions/get_session."""
    from likeness.steps.onboarding.get_session import GetSession

    return GetSession(store(), SystemClock(), int(number("MAX_ATTEMPTS_PER_SESSION")), _files(), _consent_texts())


def revoke_invite() -> RevokeInvite:
    """The step of functions/revoke_invite."""
    from likeness.steps.onboarding.revoke_invite import RevokeInvite

    return RevokeInvite(store(), SystemClock(), int(number("MAX_ATTEMPTS_PER_SESSION")))


def manage_integration() -> ManageIntegration:
    """The step of functions/manage_integration."""
    from likeness.adapters.queue import SqsQueue
    from likeness.adapters.table.webhooks import DynamoWebhooks
    from likeness.steps.notifications.manage_integration import ManageIntegration

    return ManageIntegration(
        client_keys(),
        DynamoWebhooks(client("dynamodb"), text("TABLE_NAME")),
        _webhook_queue(),
        SqsQueue(client("sqs"), text("WEBHOOK_DEAD_LETTER_QUEUE_URL")),
        SystemClock(),
    )


def get_stats() -> GetStats:
    """The step of functions/get_stats."""
    from likeness.steps.upkeep.get_stats import GetStats

    return GetStats(store(), SystemClock())


def operator_info() -> OperatorInfo:
    """Who asks the person, for the consent text and the pages."""
    from likeness.runtime.operator_info import operator_info as built

    return built(text("OPERATOR_NAME", may_be_empty=True), text("OPERATOR_CONTACT", may_be_empty=True))


def _consent_texts() -> Callable[[], ConsentTexts]:
    """Returns a function that reads the consent texts, once. The settings are read immediately."""
    version, days = text("CONSENT_VERSION"), int(number("UPLOAD_RETENTION_DAYS"))
    name, contact = text("OPERATOR_NAME", may_be_empty=True), text("OPERATOR_CONTACT", may_be_empty=True)

    @cache
    def read() -> ConsentTexts:
        from likeness.adapters.consent_texts import ConsentTexts
        from likeness.runtime.operator_info import operator_info as built

        operator = built(name, contact)
        return ConsentTexts(version, operator.name, operator.contact, days)

    return read


def record_consent() -> RecordConsent:
    """The step of functions/record_consent."""
    from likeness.steps.onboarding.record_consent import RecordConsent

    return RecordConsent(store(), _consent_texts()(), SystemClock(), _queue(), client_keys().has_any, _terms_policy())


def withdraw_consent() -> WithdrawConsent:
    """The step of functions/withdraw_consent."""
    from likeness.steps.onboarding.withdraw_consent import WithdrawConsent

    return WithdrawConsent(store(), SystemClock(), _configured_terms(), _generations())


def check_use() -> CheckUse:
    """The step of functions/check_use."""
    from likeness.steps.onboarding.check_use import CheckUse

    return CheckUse(store(), _upstream_ids(), SystemClock(), _terms_policy())


def erase_session() -> EraseSession:
    """The step of functions/erase_session."""
    from likeness.steps.upkeep.erase_session import EraseSession

    return EraseSession(store(), _files(), _workflows(), SystemClock(), _erase_generations())


def _erase_generations() -> EraseGenerations:
    from likeness.steps.generations.erase_generations import EraseGenerations

    return EraseGenerations(_generations(), _files(), SystemClock(), _ERASURE_SECONDS)


def erase_asset() -> EraseAsset:
    """The second step of functions/erase_session."""
    from likeness.steps.upkeep.erase_session import EraseAsset

    return EraseAsset(store(), _files(), SystemClock())


def register_asset() -> RegisterAsset:
    """The step of functions/register_asset."""
    from likeness.steps.files.register_asset import RegisterAsset

    return RegisterAsset(store(), _files(), SystemClock(), client_keys().has_any)


def retry_asset() -> RetryAsset:
    """The second step of functions/register_asset."""
    from likeness.steps.files.retry_asset import RetryAsset

    return RetryAsset(store(), _files(), _queue(), SystemClock())


def request_files() -> RequestFiles:
    """The step of functions/request_files."""
    from likeness.steps.files.request_files import RequestFiles

    return RequestFiles(store(), SystemClock(), int(number("MAX_ATTEMPTS_PER_SESSION")))


def receive_callback() -> ReceiveCallback:
    """The step of functions/receive_callback."""
    from likeness.steps.onboarding.receive_callback import ReceiveCallback

    return ReceiveCallback(store(), _queue(), _signing_keys(), SystemClock())


def check_upload() -> CheckUpload:
    """The step of functions/check_upload."""
    from likeness.steps.files.check_upload import CheckUpload

    max_pixels = int(number("VIDEO_MAX_PIXELS"))
    return CheckUpload(store(_CROWD_SECONDS), _files(), _queue(), SystemClock(), max_pixels, client_keys().has_any)


def start_onboarding() -> StartOnboarding:
    """The step of functions/start_onboarding."""
    from likeness.steps.onboarding.start_onboarding import StartOnboarding

    return StartOnboarding(store(), _workflows(), SystemClock(), _reconciled)


def onboarding_consumer() -> QueueConsumer[Message]:
    """The consumer of the onboarding queue."""
    from likeness.adapters.queue import SqsQueue
    from likeness.contracts.messages import read_message
    from likeness.runtime.batches import QueueConsumer

    dead_letters = SqsQueue(client("sqs"), text("DEAD_LETTER_QUEUE_URL"))
    return QueueConsumer(read_message, dead_letters, Metric.ONBOARDING_MESSAGE_SECONDS)


def look_up_result() -> LookUpResult:
    """The step of functions/look_up_result."""
    from likeness.steps.onboarding.look_up_result import LookUpResult

    return LookUpResult(store(), _crun(_rate_limiter("background").admit), SystemClock())


def claim_assets() -> ClaimAssets:
    """The step of functions/claim_assets."""
    from likeness.steps.files.claim_assets import ClaimAssets

    return ClaimAssets(store(), SystemClock(), _poll_policy())


def submit_asset() -> SubmitAsset:
    """The step of functions/submit_asset."""
    return _submit_asset("background")


def _submit_asset(lane: str) -> SubmitAsset:
    from likeness.steps.files.submit_asset import SubmitAsset

    return SubmitAsset(
        store(), _crun(_rate_limiter(lane).admit), _files(), SystemClock(), partial(measure, Metric.POSSIBLE_ORPHAN)
    )


def poll_assets() -> PollAssets:
    """The step of functions/poll_assets."""
    from likeness.steps.files.poll_assets import PollAssets

    crun = _crun(_rate_limiter("background").admit)
    return PollAssets(
        store(), crun, _queue(), SystemClock(), _poll_policy(), partial(measure, Metric.CRUN_ACCOUNT_REFUSED)
    )


def _crun_tasks(lane: str) -> CrunTasksClient:
    """crun's generation tasks, for the functions that make videos."""
    from likeness.adapters.http.crun_tasks import CrunTasksClient

    key = _secret("CRUN_API_KEY_SECRET_ARN")
    return CrunTasksClient(text("CRUN_BASE_URL"), key.value, _rate_limiter(lane).admit, called=_crun_called)


def _task_policy() -> TaskPolicy:
    from dataclasses import replace

    from likeness.adapters.table.poll_history import DynamoPollHistory
    from likeness.steps.generations.task_action import TaskPolicy

    deadline = number("GENERATION_DEADLINE_SECONDS")
    unread = partial(logger.warning, "poll_history_unread")
    history = DynamoPollHistory(client("dynamodb"), text("TABLE_NAME"), unread)
    return TaskPolicy(replace(_schedule(), deadline=deadline), history, deadline)


def create_task() -> CreateTask:
    """The step of functions/create_task."""
    from likeness.steps.generations.create_task import CreateTask

    return CreateTask(
        _generations(), _crun_tasks("background"), _signing_keys(), SystemClock(), _task_policy(), time.sleep
    )


def poll_task() -> PollTask:
    """The step of functions/poll_task."""
    from likeness.steps.generations.poll_task import PollTask

    refused = partial(measure, Metric.CRUN_ACCOUNT_REFUSED)
    return PollTask(_generations(), _crun_tasks("background"), SystemClock(), _task_policy(), refused)


def save_media() -> SaveMedia:
    """The step of functions/save_media."""
    from likeness.adapters.http.downloads import HttpDownloads
    from likeness.adapters.media_files import S3MediaFiles
    from likeness.steps.generations.save_media import SaveMedia

    downloads = HttpDownloads(loopback=text("ASSET_URL_LOOPBACK") == "allowed")
    media = S3MediaFiles(media_client(), text("UPLOAD_BUCKET_NAME"), downloads)
    deadline = number("GENERATION_DEADLINE_SECONDS")
    return SaveMedia(_generations(), _crun_tasks("background"), media, SystemClock(), deadline)


def receive_task() -> ReceiveTask:
    """The step of functions/receive_task."""
    from likeness.steps.generations.receive_task import ReceiveTask

    return ReceiveTask(
        _generations(), _crun_tasks("background"), _generation_workflows(), _signing_keys(), SystemClock()
    )


def publish_changes() -> PublishChanges:
    """The step of functions/publish_changes."""
    from likeness.adapters.event_bus import EventBridge
    from likeness.steps.notifications.publish_changes import PublishChanges

    return PublishChanges(EventBridge(client("events"), text("EVENT_BUS_NAME")))


def unread_changes() -> SqsQueue:
    """The dead-letter queue of functions/publish_changes for changes that it cannot read."""
    from likeness.adapters.queue import SqsQueue

    return SqsQueue(client("sqs"), text("CHANGE_DEAD_LETTER_QUEUE_URL"))


def send_webhooks() -> SendWebhooks:
    """The step of functions/send_webhooks."""
    from random import SystemRandom

    from likeness.adapters.http.webhook_post import HttpWebhookPost
    from likeness.adapters.table.webhooks import DynamoWebhooks
    from likeness.domain.webhooks import Retries
    from likeness.steps.notifications.call_back import CallBack
    from likeness.steps.notifications.send_webhooks import SendWebhooks

    return SendWebhooks(
        DynamoWebhooks(client("dynamodb"), text("TABLE_NAME")),
        _webhook_queue(),
        HttpWebhookPost(private=text("WEBHOOK_PRIVATE_ADDRESSES") == "allowed"),
        SystemClock(),
        Retries.of(text("WEBHOOK_RETRY_SECONDS"), int(number("WEBHOOK_TRIES"))),
        SystemRandom().random,
        CallBack(_generations(), _media_url()),
    )


def _webhook_queue() -> SqsQueue:
    from likeness.adapters.queue import SqsQueue

    return SqsQueue(client("sqs"), text("WEBHOOK_QUEUE_URL"))


def webhook_consumer() -> QueueConsumer[WebhookMessage]:
    """The consumer of the webhook queue."""
    from likeness.adapters.queue import SqsQueue
    from likeness.contracts.webhooks import read_webhook_message
    from likeness.runtime.batches import QueueConsumer

    return QueueConsumer(
        read_webhook_message,
        SqsQueue(client("sqs"), text("WEBHOOK_DEAD_LETTER_QUEUE_URL")),
        Metric.WEBHOOK_FIRST_TRY_SECONDS,
        first_receive_only=True,
        queue=_webhook_queue(),
    )


def export_inventory() -> ExportInventory:
    """The step of functions/export_inventory."""
    from likeness.adapters.table.inventory import DynamoPages, DynamoProgress, S3Exports
    from likeness.steps.upkeep.export_inventory import ExportInventory

    table = text("TABLE_NAME")
    return ExportInventory(
        DynamoPages(client("dynamodb"), table),
        S3Exports(client("s3"), text("INVENTORY_BUCKET_NAME")),
        DynamoProgress(client("dynamodb"), table),
        SystemClock(),
        time.sleep,
        number("INVENTORY_HOURS") * 3600,
    )


def recheck_assets() -> RecheckAssets:
    """The step of functions/recheck_assets."""
    from likeness.adapters.table.active_assets import DynamoActiveAssets
    from likeness.steps.upkeep.recheck_assets import RecheckAssets

    return RecheckAssets(
        DynamoActiveAssets(client("dynamodb"), text("TABLE_NAME")),
        store(),
        _crun(_rate_limiter("background").admit),
        SystemClock(),
        time.sleep,
        number("RECHECK_DAYS"),
        partial(measure, Metric.CRUN_ACCOUNT_REFUSED),
        partial(measure, Metric.ASSET_LOST),
    )


def check_credits() -> CheckCredits:
    """The step of functions/check_credits."""
    from likeness.steps.upkeep.check_credits import CheckCredits

    return CheckCredits(_crun(_rate_limiter("background").admit), partial(measure, Metric.CRUN_CREDITS_LEFT), report)


def _reconcile_generations() -> ReconcileGenerations:
    from likeness.adapters.table.due_items import DynamoDueItems
    from likeness.steps.generations.reconcile_generations import ReconcileGenerations

    due = DynamoDueItems(client("dynamodb"), text("TABLE_NAME"))
    return ReconcileGenerations(_generations(), due, _generation_workflows(), SystemClock())


def reconcile() -> Reconcile:
    """The step of functions/reconcile."""
    from likeness.adapters.table.due_items import DynamoDueItems
    from likeness.steps.onboarding.start_onboarding import StartOnboarding
    from likeness.steps.upkeep.erase_session import EraseSession
    from likeness.steps.upkeep.reconcile import Reconcile

    erases = text("ON_WITHDRAWAL") == "erase"
    return Reconcile(
        store(),
        DynamoDueItems(client("dynamodb"), text("TABLE_NAME")),
        _workflows(),
        _files(),
        StartOnboarding(store(), _workflows(), SystemClock()),
        check_upload(),
        SystemClock(),
        _reconciled,
        partial(measure, Metric.POSSIBLE_ORPHAN),
        report_of_one,
        _reconcile_generations(),
        EraseSession(store(), _files(), _workflows(), SystemClock(), _erase_generations(), by_policy=True)
        if erases
        else None,
        number("WITHDRAWAL_GRACE_DAYS") * 86_400,
    )
