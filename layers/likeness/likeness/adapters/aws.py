"""AWS clients with bounded waits, and the translation of AWS errors to domain errors."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, overload

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, UnknownRegionError
from botocore.loaders import Loader

from likeness.errors import ConditionFailed, StorageUnavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_stepfunctions.client import SFNClient

    class Clients(Protocol):
        """Returns the client of a service, typed by the service's name."""

        @overload
        def __call__(self, service: Literal["dynamodb"]) -> DynamoDBClient: ...
        @overload
        def __call__(self, service: Literal["events"]) -> EventBridgeClient: ...
        @overload
        def __call__(self, service: Literal["s3"]) -> S3Client: ...
        @overload
        def __call__(self, service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
        @overload
        def __call__(self, service: Literal["sqs"]) -> SQSClient: ...
        @overload
        def __call__(self, service: Literal["stepfunctions"]) -> SFNClient: ...
        @overload
        def __call__(self, service: str) -> BaseClient: ...


Answer = TypeVar("Answer")

#: How long a write that conflicts with a transaction is retried. It fits into every function's timeout.
CONFLICT_SECONDS = 4.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.6
_CHANCE = random.SystemRandom()

#: Both timeouts times the attempts are 8 s: less than every function's timeout, so that callers get the error.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    s3={"addressing_style": "path"},
)
#: Presigned forms and URLs use Signature Version 4, because Version 2 cannot include a version id or a size.
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4"))


#: botocore's service models, reduced by the layer's build (cut_models.py). They load in a fifth of the time.
_MODELS = Path(__file__).parent.parent / "models"
#: The oldest botocore that is tested with the reduced models (`make check-models`). Older ones load their own:
#: before 1.35.80 they fail on lists in endpoint rules, which the models of DynamoDB now have.
OLDEST_BOTOCORE = (1, 36, 0)
#: The five root certificates of Amazon Trust Services (amazontrust.com/repository). Reading all 120 in botocore's
#: bundle takes as long as the first call of each client.
_ROOTS = _MODELS / "amazon_roots.pem"


class ShortLoader(Loader):
    """Loads reduced models first, botocore's own if one is missing. Does not list all 400 services."""

    def __init__(self, models: Path) -> None:
        super().__init__([str(models)])
        self._models = models

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002, the base class has it
        """Returns the services that have a reduced model."""
        return sorted(each.name for each in self._models.iterdir() if each.is_dir())

    def is_builtin_path(self, path: str) -> bool:
        """Returns True for the reduced models too, so that botocore resolves endpoints as for its own models."""
        return Path(path).is_relative_to(self._models) or bool(super().is_builtin_path(path))


def reads_cut_models(version: str) -> bool:
    """Returns whether the botocore of ``version``, which Lambda's runtime chooses, is OLDEST_BOTOCORE or newer.

    A version in another format than ``1.36.0`` counts as older, because botocore's own models always work.
    """
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) >= OLDEST_BOTOCORE


def make_session(models: Path) -> botocore.session.Session:
    """Returns a session that loads the reduced ``models`` if they exist and this botocore can read them."""
    session = botocore.session.get_session()
    if models.is_dir() and reads_cut_models(botocore.__version__):
        session.register_component("data_loader", ShortLoader(models))
    return session


@cache
def _session() -> botocore.session.Session:
    # One for all clients, so that credentials and shared data are loaded once.
    return make_session(_MODELS)


def typed_by_service(make: Callable[[str], Any]) -> Clients:
    """Types a function that returns clients by the service's name."""
    return cast("Clients", make)


@typed_by_service
def make_client(service: str) -> Any:
    """Returns a low-level client of ``service``. S3 uses path-style addresses, which the emulator supports too."""
    return _made(service, _S3_CONFIG if service == "s3" else _CONFIG)


def make_media_client() -> S3Client:
    """Returns a client of S3 that waits longer: storing a file of 200 MB takes S3 some seconds after its last byte."""
    return cast("S3Client", _made("s3", _S3_CONFIG.merge(Config(connect_timeout=3, read_timeout=20))))


def _made(service: str, config: Config) -> Any:
    return _session().create_client(service, config=config, verify=_authorities())


def _authorities() -> str | None:
    """Returns the file of trusted root certificates, None for botocore's default.

    The default applies if the operator sets AWS_CA_BUNDLE, and outside the commercial partition, whose roots may
    differ.
    """
    session = _session()
    region = session.get_config_variable("region")
    if session.get_config_variable("ca_bundle") or not (region and _ROOTS.exists()):
        return None
    try:
        return str(_ROOTS) if session.get_partition_for_region(region) == "aws" else None
    except UnknownRegionError:
        return None


def get_items(client: DynamoDBClient, table: str, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns at most 100 items, unordered, by a consistent read. Raises StorageUnavailable if AWS leaves any out."""
    with translated():
        answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    if answer.get("UnprocessedKeys"):
        raise StorageUnavailable("AWS returned UnprocessedKeys", retry_after=5)
    found: list[dict[str, Any]] = answer["Responses"][table]
    return found


def update_item(
    client: DynamoDBClient,
    table: str,
    key: dict[str, Any],
    update: str,
    condition: str,
    values: dict[str, Any],
    **options: Any,
) -> dict[str, Any]:
    """Does one conditional write and returns the attributes of ReturnValues. Raises as ``translated`` does."""
    with translated():
        answer = despite_conflicts(
            lambda: client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                **options,
            )
        )
    attributes: dict[str, Any] = answer.get("Attributes", {})
    return attributes


def despite_conflicts(call: Callable[[], Answer], seconds: float = CONFLICT_SECONDS) -> Answer:
    """Returns what ``call`` returns, and retries it with full jitter for about ``seconds`` after a conflict.

    DynamoDB rejects a write that conflicts with a transaction on the same item; it is not queued and has no effect.
    One of the conflicting writes always succeeds, so all of them succeed in the end. Source: the DynamoDB guide,
    "Transaction conflict handling in DynamoDB".
    """
    end, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except ClientError as exc:
            if not is_conflict(exc) or time.monotonic() > end:
                raise
        time.sleep(_CHANCE.uniform(0, pause))
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def is_conflict(error: ClientError) -> bool:
    """Returns whether a write failed only because of a concurrent write on the same item."""
    if error.response.get("Error", {}).get("Code") == "TransactionConflictException":
        return True
    reasons = {each.get("Code") for each in error.response.get("CancellationReasons", [])} - {"None"}
    return reasons == {"TransactionConflict"}


@contextmanager
def translated() -> Iterator[None]:
    """Translates ClientError to ConditionFailed or StorageUnavailable, with AWS's error code in the message."""
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "Unknown")
        reasons = [reason.get("Code") for reason in exc.response.get("CancellationReasons", [])]
        if code == "ConditionalCheckFailedException" or "ConditionalCheckFailed" in reasons:
            raise ConditionFailed(code) from exc
        raise StorageUnavailable(f"AWS returned {code}", retry_after=5) from exc
    except BotoCoreError as exc:
        raise StorageUnavailable(f"AWS did not respond ({type(exc).__name__})", retry_after=5) from exc
