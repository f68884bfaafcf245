"""Secrets of Secrets Manager, cached for five minutes. ``fresh`` reads them immediately."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from likeness.adapters.aws import translated
from likeness.errors import StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

KEPT_SECONDS = 300
_FRESH_SECONDS = 30


class Secret:
    """One secret of Secrets Manager, by ARN."""

    def __init__(self, client: SecretsManagerClient, arn: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client, self._arn, self._monotonic = client, arn, monotonic
        self._kept: dict[str, tuple[float, str | None]] = {}

    def value(self, fresh: bool = False) -> str:
        """Returns the secret's current text. Raises StorageUnavailable when it cannot be read or is empty."""
        text = self._at("AWSCURRENT", fresh=fresh)
        if not text:
            del self._kept["AWSCURRENT"]  # not cached: the next call reads it again
            raise StorageUnavailable("The secret has no string value", retry_after=5)
        return text

    def previous(self, fresh: bool = False) -> str | None:
        """Returns the previous text, None when the secret has none."""
        return self._at("AWSPREVIOUS", fresh=fresh)

    def _at(self, stage: str, *, fresh: bool) -> str | None:
        until, text = self._kept.get(stage, (0.0, None))
        if fresh or self._monotonic() >= until:
            text = self._fetch(stage)
            self._kept[stage] = (self._monotonic() + KEPT_SECONDS, text)
        return text

    def _fetch(self, stage: str) -> str | None:
        with translated():
            try:
                found = self._client.get_secret_value(SecretId=self._arn, VersionStage=stage)
            except ClientError as exc:
                if stage != "AWSCURRENT" and exc.response["Error"]["Code"] == "ResourceNotFoundException":
                    return None
                raise
        return found.get("SecretString")  # absent for a binary secret


class RotatingKeys:
    """The port ``SigningKeys``: the current key signs, the previous one still verifies."""

    def __init__(self, secret: Secret, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._monotonic = secret, monotonic
        self._fresh_again_at = 0.0

    def current(self) -> Iterator[bytes]:
        """See the port."""
        return self._keys(fresh=False)

    def fresh(self) -> Iterator[bytes]:
        """See the port. Reads at most twice a minute, so that forged signatures cannot cause more reads."""
        due = self._monotonic() >= self._fresh_again_at
        if due:
            self._fresh_again_at = self._monotonic() + _FRESH_SECONDS
        return self._keys(fresh=due)

    def _keys(self, *, fresh: bool) -> Iterator[bytes]:
        # The previous key is read only when the current one does not verify a signature.
        yield self._secret.value(fresh).encode()
        if text := self._secret.previous(fresh):
            yield text.encode()
