"""The request bodies of crun's own routes. Unknown fields are ignored, as crun ignores them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from likeness.contracts.body import PRINTABLE
from likeness.domain.asset import NAME_LIMIT
from likeness.errors import InvalidRequest

Model = TypeVar("Model", bound="DropInBody")


def web_address(value: str) -> str:
    """Returns ``value`` if it is an absolute http or https URI. Raises ValueError."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("must be an absolute http or https URI") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https URI")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be a URI without spaces, control or non-ASCII characters")
    return value


class DropInBody(BaseModel):
    """The base of all bodies."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)


class ValidationRequest(DropInBody):
    """The body of visual-validate-session."""

    callback_url: Annotated[str, Field(max_length=2048), AfterValidator(web_address)]


class UploadRequest(DropInBody):
    """The body of asset-upload. ``asset_url`` is a secret: it may be presigned."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT, pattern=PRINTABLE)]
    asset_type: Literal["Image", "Video", "Audio"]
    asset_url: Annotated[str, Field(max_length=8192, repr=False), AfterValidator(web_address)]
    group_id: Annotated[str, Field(min_length=1, max_length=128)]


def read_body(model: type[Model], body: str) -> Model:
    """Parses ``body``. Raises InvalidRequest with every invalid field, without quoting values."""
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        problems = [
            f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}"
            for each in exc.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise InvalidRequest("; ".join(problems)) from None
