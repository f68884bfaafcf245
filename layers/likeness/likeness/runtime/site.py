"""The product's pages. URLs of their files include a digest of all files, so browsers can cache them indefinitely."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from likeness.domain.media import MAX_BYTES
from likeness.domain.media.limits import (
    MAX_PIXELS,
    MAX_RATIO,
    MAX_SECONDS,
    MAX_SIDE,
    MIN_PIXELS,
    MIN_RATIO,
    MIN_SECONDS,
    MIN_SIDE,
)
from likeness.domain.media.types import CONTENT_TYPES, EXTENSIONS, AssetType
from likeness.errors import NotFound
from likeness.runtime.operator_info import OperatorInfo, picture
from likeness.runtime.pages import LOGO, OPERATOR, document_headers, files, page, policy, redirect
from likeness.runtime.request import headers_of

if TYPE_CHECKING:
    from likeness.runtime.invocations import ApiEvent

_VERSION = "__VERSION__"
_DIGEST = re.compile("[0-9a-f]{16}")
_LIMITS = "limits.json"
_OPERATORS_LOGO = "logo.svg"
#: Placeholders of the person's page: the logo, or else the product's icon; and whether to announce a sign-in.
_MARK, _SIGN_IN = "__MARK__", "__SIGN_IN__"
#: The pages by their routes.
_HTML = {"/invite": "invite.html", "/console": "console.html", "/docs": "docs.html"}
_FOR_EVER = "public, max-age=31536000, immutable"


def limits(max_pixels: int = MAX_PIXELS) -> dict[str, Any]:
    """The limits of files, by asset type: the page checks them before an upload, ``check_upload`` after it.

    Sizes in bytes, sides in pixels, ratios as width to height, durations in seconds; all inclusive. ``max_pixels``
    limits the width times height of a clip.
    """
    frame = {"min_side": MIN_SIDE, "max_side": MAX_SIDE, "min_ratio": MIN_RATIO, "max_ratio": MAX_RATIO}
    length = {"min_seconds": MIN_SECONDS, "max_seconds": MAX_SECONDS}
    bounds: dict[AssetType, dict[str, float]] = {
        AssetType.IMAGE: frame,
        AssetType.VIDEO: frame | length | {"min_pixels": MIN_PIXELS, "max_pixels": max_pixels},
        AssetType.AUDIO: length,
    }
    return {
        kind.value: {
            "max_bytes": MAX_BYTES[kind],
            "content_types": [each for each, its in CONTENT_TYPES.items() if its is kind],
            "extensions": {end: each for end, each in EXTENSIONS.items() if CONTENT_TYPES[each] is kind},
            **bound,
        }
        for kind, bound in bounds.items()
    }


class Site:
    """The product's pages and the files that they load.

    ``upload_addresses``: the origins that the pages upload files to. ``max_pixels``: the limit of a clip. ``operator``:
    who asks. ``sign_in``: whether the face check may ask the person to sign in, ``on`` or ``off``.
    """

    def __init__(
        self,
        upload_addresses: str,
        max_pixels: int = MAX_PIXELS,
        operator: OperatorInfo | None = None,
        sign_in: str = "off",
    ) -> None:
        self._policy = policy(upload_addresses)
        self._max_pixels = max_pixels
        self._operator = operator or OperatorInfo()
        self._sign_in = sign_in
        served = {name for name in files() if name.endswith((".css", ".js", ".svg", ".txt"))}
        self.files = served | {_LIMITS, _OPERATORS_LOGO}

    def answer(self, event: ApiEvent) -> dict[str, Any]:
        """The response to a GET: a page, the contract, or a file. Raises NotFound for anything else."""
        resource, path = event["resource"], event.get("pathParameters") or {}
        if resource == "/{path+}":
            wanted = unquote(path["path"])
            # Some chat apps encode the "#" of an invite link, so its token is part of the path. The page reads it.
            if not wanted.startswith("invite#") or "/" in wanted:
                raise NotFound("Route not found")
            return self.html(_HTML["/invite"], headers_of(event))
        if resource in _HTML and event["path"].endswith("/"):
            return redirect(f"..{resource}")  # a page's files have relative URLs; the browser keeps the fragment
        if resource in _HTML:
            return self.html(_HTML[resource], headers_of(event))
        if resource == "/openapi.json":
            return self.contract()
        return self.file(path["version"], path["file"])

    @cached_property
    def version(self) -> str:
        """A digest of all files of the pages.

        Swagger UI's files are large, and change only with its package, whose version is in its licence file.
        """
        settings = f"{self._policy}{self._limits}{self._operator}{self._sign_in}"
        digest = hashlib.sha256(settings.encode())
        for name, file in files().items():
            digest.update(name.encode())
            if not name.startswith("swagger-ui") or name.endswith(".txt"):
                digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    @cached_property
    def _limits(self) -> str:
        return json.dumps(limits(self._max_pixels), separators=(",", ":"))

    def html(self, name: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The page ``name``, which browsers revalidate each time; 304 when their copy is current."""
        tag = f'"{self.version}"'
        more = {"Cache-Control": "no-cache", "ETag": tag, "Content-Security-Policy": self._policy}
        # API Gateway makes the tag of compressed responses weak.
        if headers.get("if-none-match", "").removeprefix("W/") == tag:
            # Browsers update the headers of their copy from a 304.
            return {"statusCode": 304, "headers": document_headers(name) | more, "body": ""}
        shown = page(name, headers=more)
        pages = f"pages/{self.version}/"
        logo = self._operator.logo(pages)
        parts = {
            _VERSION: self.version,
            LOGO: logo,
            _MARK: logo or picture(f"{pages}icon.svg", 1),
            _SIGN_IN: self._sign_in,
            OPERATOR: self._operator.footer(),
        }
        for placeholder, html in parts.items():
            shown["body"] = shown["body"].replace(placeholder, html)
        return shown

    def file(self, version: str, name: str) -> dict[str, Any]:
        """A file that a page loads. A page of another version gets this version's file, which is not cached.

        Raises NotFound for other names.
        """
        known = name in self.files and (name in files() or name == _LIMITS)
        if not _DIGEST.fullmatch(version) or not known:
            raise NotFound("File not found")
        kept = {"Cache-Control": _FOR_EVER if version == self.version else "no-store"}
        if name == _LIMITS:
            return page(name, headers=kept, body=self._limits)
        return page(name, headers=kept)

    def contract(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return page("openapi.json")
