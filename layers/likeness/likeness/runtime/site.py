"""The product's pages. URLs of their files include a digest of all files, so browsers can cache them indefinitely.

The persons' pages and the console each contain their script, style and icon, so one request gets the page
(docs/adr/0016-a-page-is-one-file.md). The person's page also contains the limits of files, and texts in one language.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

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
_INDENTATION = re.compile("\n +")
_LIMITS = "limits.json"
_CONTRACT = "openapi.json"
_OPERATORS_LOGO = "logo.svg"
#: Placeholders of the persons' pages: the logo, or else the product's icon; whether to announce a sign-in; its data.
_MARK, _SIGN_IN, _TEXTS, _LIMIT_FACTS = "__MARK__", "__SIGN_IN__", "__TEXTS__", "__LIMITS__"
#: Placeholders of the pages that are one file.
_ICON, _STYLE, _SCRIPT, _EARLY = "__ICON__", "__STYLE__", "__SCRIPT__", "__EARLY__"
#: The pages by their routes.
_HTML = {"/invite": "invite.html", "/me": "me.html", "/console": "console.html", "/docs": "docs.html"}
#: The pages that contain their style and scripts: the files of these, by placeholder.
_WHOLE = {
    "invite.html": {_STYLE: "invite.css", _EARLY: "invite_early.js", _SCRIPT: "invite.js"},
    "me.html": {_STYLE: "me.css", _SCRIPT: "me.js"},
    "console.html": {_STYLE: "console.css", _SCRIPT: "console.js"},
}
#: The pages that play videos from the upload bucket.
_PLAYING = ("console.html",)
#: The pages that have languages: how the names of the files with their texts begin.
_TEXTS_OF = {"invite.html": "texts_", "me.html": "texts_me_"}
#: The pages whose links contain a credential.
_OF_LINKS = ("invite", "me")
#: The most characters of a logo that is in the page. A larger one is a file, which browsers keep.
_SMALL_LOGO = 1500
#: Parts of a language's tag that mean traditional Chinese.
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})
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


def language_of(accepted: str) -> str:
    """Returns the first language of an Accept-Language header that the person's page supports, else ``en``.

    Browsers list the person's languages in their order, so the weights are not read.
    """
    for each in accepted.split(","):
        language, *parts = each.partition(";")[0].strip().lower().split("-")
        if language == "zh":
            return "zh" if _TRADITIONAL.isdisjoint(parts) else "zh-Hant"
        if language == "en":
            break
    return "en"


def _hash(text: str) -> str:
    """Returns the source in a Content-Security-Policy that allows this inline script or style, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data_url(svg: str) -> str:
    return f"data:image/svg+xml,{quote(svg.strip(), safe=' /:=')}"


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
        self._upload_addresses = upload_addresses
        self._max_pixels = max_pixels
        self._operator = operator or OperatorInfo()
        self._sign_in = sign_in
        served = {
            name for name in files() if name.endswith((".css", ".js", ".svg", ".txt")) or name.startswith("texts_")
        }
        self.files = served | {_LIMITS, _OPERATORS_LOGO}
        self._made: dict[tuple[str, str], tuple[str, str]] = {}

    def answer(self, event: ApiEvent) -> dict[str, Any]:
        """The response to a GET: a page, the contract, or a file. Raises NotFound for anything else."""
        resource, path = event["resource"], event.get("pathParameters") or {}
        if resource == "/{path+}":
            wanted = unquote(path["path"])
            # Some chat apps encode the "#" of a link, so its credential is part of the path. The page reads it.
            name = wanted.partition("#")[0]
            if "#" not in wanted or name not in _OF_LINKS or "/" in wanted:
                raise NotFound("Route not found")
            return self.html(_HTML[f"/{name}"], headers_of(event))
        if resource in _HTML and event["path"].endswith("/"):
            return redirect(f"..{resource}")  # a page's files have relative URLs; the browser keeps the fragment
        if resource in _HTML:
            return self.html(_HTML[resource], headers_of(event))
        if resource == "/openapi.json":
            return self.contract()
        return self.file(path["version"], path["file"])

    def _logo(self, name: str, pages: str) -> str:
        """Returns the operator's logo as HTML: a small one is in the page itself."""
        ratio = self._operator.logo_ratio
        text = files()[_OPERATORS_LOGO].read_text("utf-8") if ratio and name in _WHOLE else ""
        if ratio and 0 < len(text) <= _SMALL_LOGO:
            return picture(_data_url(text), ratio)
        return self._operator.logo(pages)

    @cached_property
    def version(self) -> str:
        """A digest of all files of the pages, and of what the pages show of the stack's settings.

        Swagger UI's files are large, and change only with its package, whose version is in its licence file. The
        contract has a URL of its own.
        """
        settings = f"{self._upload_addresses}{self._limits}{self._operator}{self._sign_in}"
        digest = hashlib.blake2b(settings.encode(), digest_size=8)  # in half of the time of SHA-256
        for name, file in files().items():
            digest.update(name.encode())
            if name != _CONTRACT and (not name.startswith("swagger-ui") or name.endswith(".txt")):
                digest.update(file.read_bytes())
        return digest.hexdigest()

    @cached_property
    def _limits(self) -> str:
        return json.dumps(limits(self._max_pixels), separators=(",", ":"))

    def html(self, name: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The page ``name``, which browsers revalidate each time; 304 when their copy is current."""
        language = language_of(headers.get("accept-language", "")) if name in _TEXTS_OF else ""
        if (name, language) not in self._made:
            self._made[name, language] = self._make(name, language)
        body, allowed = self._made[name, language]
        tag = f'"{self.version}{language and "." + language}"'
        more = {"Cache-Control": "no-cache", "ETag": tag, "Content-Security-Policy": allowed}
        if language:
            more["Vary"] = "Accept-Language"
        # API Gateway makes the tag of compressed responses weak.
        if headers.get("if-none-match", "").removeprefix("W/") == tag:
            # Browsers update the headers of their copy from a 304.
            return {"statusCode": 304, "headers": document_headers(name) | more, "body": ""}
        return page(name, headers=more, body=body)

    def _make(self, name: str, language: str) -> tuple[str, str]:
        """Returns the HTML of a page, and its Content-Security-Policy."""
        # Without the indentation, which is a hundredth of the page.
        body, allowed = _INDENTATION.sub("\n", files()[name].read_text("utf-8")), policy(self._upload_addresses)
        pages = f"pages/{self.version}/"
        icon = _data_url(files()["icon.svg"].read_text("utf-8"))
        parts = {_VERSION: self.version, _ICON: icon}
        if name in _WHOLE:
            whole = {placeholder: files()[each].read_text("utf-8") for placeholder, each in _WHOLE[name].items()}
            parts |= whole
            style, *scripts = map(_hash, whole.values())
            media = self._upload_addresses if name in _PLAYING else "blob:"
            allowed = policy(self._upload_addresses, style=style, script=" ".join(scripts), media=media)
        if language:
            texts = files()[f"{_TEXTS_OF[name]}{language}.json"].read_text("utf-8").strip()
            parts |= {_TEXTS: f'{{"language":"{language}","texts":{texts}}}', _LIMIT_FACTS: self._limits}
        logo = self._logo(name, pages)
        parts |= {LOGO: logo, _MARK: logo or picture(icon, 1), _SIGN_IN: self._sign_in}
        for placeholder, html in (parts | {OPERATOR: self._operator.footer()}).items():
            body = body.replace(placeholder, html)
        return body, allowed

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
        return page(_CONTRACT)
