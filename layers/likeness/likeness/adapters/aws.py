"""Clients with bounded waits, and the one place where an AWS error becomes one of ours."""

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
        """Returns the client of a service: what each service's client can do is known by the service's name."""

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

#: How long a write that meets another transaction is repeated: a caller waits for it, and every function has the time.
CONFLICT_SECONDS = 4.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.6
_CHANCE = random.SystemRandom()

#: Both timeouts times the attempts are 8 s: below every function's timeout, so that who waits is told why it failed.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    s3={"addressing_style": "path"},
)
#: Presigned forms and URLs by Signature Version 4: the older version cannot bind a version id or a size.
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4"))


#: botocore's descriptions of the services, cut down by the layer's build (cut_models.py): a fifth of the time to read.
_MODELS = Path(__file__).parent.parent / "models"
#: The oldest botocore that is tested with the cut descriptions (`make check`: gate-models). Older ones read their own:
#: before 1.35.80 they stop at lists in endpoint rules, which the descriptions of DynamoDB have by now.
OLDEST_BOTOCORE = (1, 36, 0)
#: The five roots of Amazon Trust Services (amazontrust.com/repository). Reading all hundred and twenty of botocore's
#: bundle takes the first call of each client as long as the call itself.
_ROOTS = _MODELS / "amazon_roots.pem"


class ShortLoader(Loader):
    """Reads the cut descriptions first, botocore's own where one is missing, and does not list all four hundred."""

    def __init__(self, models: Path) -> None:
        super().__init__([str(models)])
        self._models = models

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002, the base class has it
        """The services that the product uses."""
        return sorted(each.name for each in self._models.iterdir() if each.is_dir())

    def is_builtin_path(self, path: str) -> bool:
        """Botocore's own, only shorter: addresses made by an endpoints.json of anybody else's go another way."""
        return Path(path).is_relative_to(self._models) or bool(super().is_builtin_path(path))


def reads_cut_models(version: str) -> bool:
    """Returns whether the botocore of ``version``, which Lambda's runtime chooses, is OLDEST_BOTOCORE or newer.

    A version of another form than ``1.36.0`` counts as older: botocore's own descriptions always fit.
    """
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) >= OLDEST_BOTOCORE


def make_session(models: Path) -> botocore.session.Session:
    """Returns a session that reads the cut descriptions in ``models`` where there are any and this botocore can."""
    session = botocore.session.get_session()
    if models.is_dir() and reads_cut_models(botocore.__version__):
        session.register_component("data_loader", ShortLoader(models))
    return session


@cache
def _session() -> botocore.session.Session:
    # One for all clients: it finds the credentials and reads what the services share once.
    return make_session(_MODELS)


def typed_by_service(make: Callable[[str], Any]) -> Clients:
    """Gives a function that returns clients the type of each service's client."""
    return cast("Clients", make)


@typed_by_service
def make_client(service: str) -> Any:
    """A low-level client of ``service``. S3 addresses buckets by path, which the emulator understands too."""
    config = _S3_CONFIG if service == "s3" else _CONFIG
    return _session().create_client(service, config=config, verify=_authorities())


def _authorities() -> str | None:
    """The file of the authorities to trust; None where botocore decides: by the operator's AWS_CA_BUNDLE, or in another

    partition than the commercial one, whose certificates may have other roots.
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
    """At most 100 items, strongly consistent, in no order; StorageUnavailable also where load left some out."""
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
    """One conditional write; the attributes that ``options`` (ReturnValues) ask for. Raises as ``translated`` does."""
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
    """What ``call`` answers, repeated with full jitter for about ``seconds`` while DynamoDB refuses it for a conflict.

    A write that meets a transaction on the same item is refused, not queued, and has had no effect. Of those that meet
    one always gets through, so even a crowd is served one after the other. Source: the DynamoDB guide, "Transaction
    conflict handling in DynamoDB".
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
    """Whether a write was refused for nothing but another one on the same item at the same time."""
    if error.response.get("Error", {}).get("Code") == "TransactionConflictException":
        return True
    reasons = {each.get("Code") for each in error.response.get("CancellationReasons", [])} - {"None"}
    return reasons == {"TransactionConflict"}


@contextmanager
def translated() -> Iterator[None]:
    """Turns ClientError into ConditionFailed or StorageUnavailable; the AWS code stands in the message."""
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
