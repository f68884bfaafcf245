"""The requests and the bytes of each page's first view, counted without a browser.

A page is what serve_pages returns for it, with the files that it names and the modules that those import. Requests that
a script makes later are not counted here: bench/studies/pages.py counts them in Chromium.
"""

from __future__ import annotations

import functools
import gzip
import re
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.functions import PAGES as ENVIRONMENT
from tests.functions import cold_start, event_of_request, invoke

#: /docs is mostly Swagger UI, which only a built layer has.
PAGES = ("invite", "console")
_ROOT = "https://pages.test/v1/"
_SMALLEST_COMPRESSED = 1024
#: What names another file: an attribute of HTML, an import of a module, and url() in CSS.
_NAMES = {
    "text/html": re.compile(r"""<(?:link|script|img)\b[^>]*?\b(?:href|src)=["']([^"'#]+)["']"""),
    "text/javascript": re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}/[^"']+)["']"""),
    "text/css": re.compile(r"""url\(["']?([^"')#]+)["']?\)"""),
}


class PageFailed(RuntimeError):
    """When serve_pages does not return a page or a file."""


def views() -> dict[str, dict[str, int]]:
    """Returns ``{page: {"requests": number, "bytes": compressed bytes of all bodies}}``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        function = cold_start("serve_pages")
        return {page: _view(function, page) for page in PAGES}


def _view(function: ModuleType, page: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    waiting = [urljoin(_ROOT, page)]
    while waiting:
        url = waiting.pop()
        if url in sizes or not url.startswith(_ROOT):
            continue
        kind, body = _file(function, url)
        sizes[url] = _size(body)
        waiting += [urljoin(url, name) for name in names_in(kind, body)]
    return {"requests": len(sizes), "bytes": sum(sizes.values())}


def names_in(kind: str, body: str) -> list[str]:
    """Returns the addresses of the files that a file of this content type loads."""
    pattern = _NAMES.get(kind)
    found = pattern.findall(body) if pattern else []
    return [each for each in found if not each.startswith("data:")]


def _file(function: ModuleType, url: str) -> tuple[str, str]:
    path = urlsplit(url).path.removeprefix("/v1")
    parts = path.strip("/").split("/")
    versioned = parts[0] == "pages" and len(parts) == 3
    event = event_of_request(
        "GET",
        "/pages/{version}/{file}" if versioned else path,
        path,
        headers={"Accept": "*/*"},
        parameters={"version": parts[1], "file": parts[2]} if versioned else None,
    )
    answer: dict[str, Any] = invoke(function, event)
    if answer["statusCode"] != 200:
        raise PageFailed(f"{answer['statusCode']} for {path}")
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return headers["content-type"].partition(";")[0], answer["body"]


@functools.cache
def _size(body: str) -> int:
    """Returns the bytes on the wire: API Gateway compresses bodies from MinimumCompressionSize on."""
    content = body.encode()
    return len(content) if len(content) < _SMALLEST_COMPRESSED else len(gzip.compress(content, 6, mtime=0))
