"""The files of the pages, as API Gateway proxy responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness.errors import LikenessError
from likeness.runtime.logging import report, report_unexpected
from likeness.runtime.problems import problem
from likeness.runtime.request import headers_of, request_id_of

if TYPE_CHECKING:
    from likeness.runtime.operator_info import OperatorInfo

#: ``layers/likeness/pages``, beside the package; the layer's build copies it to ``/opt/python/pages``.
_FOLDER = Path(__file__).parents[2] / "pages"
#: The sources of the files in ``built``: their endings, by folder.
_BUNDLED = {"shared": (".js",), "invite": (".js", ".css"), "me": (".js", ".css"), "console": (".js", ".css")}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


#: Placeholders in the pages.
LOGO, OPERATOR = "__LOGO__", "__OPERATOR__"
#: A version that no page has: its files are served, and not cached. Error pages name it, since the function that serves
#: them does not know the version of the others.
_ANY_VERSION = "0" * 16
#: A logo can neither run scripts nor load anything, wherever it is opened.
_LOGO_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
#: HTTPS only on this host, for a year. Browsers ignore the header on http, as in local development.
_HTTPS_ALONE = {"Strict-Transport-Security": "max-age=31536000"}
#: Features that pages never use, and those that people record with when they choose files. The face check is on
#: crun's host.
_UNUSED_FEATURES = ("display-capture", "geolocation", "midi", "payment", "serial", "usb")
_RECORDING_FEATURES = ("camera", "microphone")
_RECORDING_PAGES = ("invite.html",)


def document_headers(name: str) -> dict[str, str]:
    """Returns the headers that isolate the page ``name``: its window, device features, and HTTPS.

    Other files only get the last one. Sources: the HTML standard ("Cross-origin opener policies"), W3C's Permissions
    Policy, RFC 6797 (Strict-Transport-Security).
    """
    if not name.endswith(".html"):
        return _HTTPS_ALONE
    recording = "(self)" if name in _RECORDING_PAGES else "()"
    features = [f"{each}=()" for each in _UNUSED_FEATURES] + [f"{each}={recording}" for each in _RECORDING_FEATURES]
    return _HTTPS_ALONE | {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(features),
    }


def policy(upload_addresses: str = "", *, style: str = "'self'", script: str = "'self'", media: str = "blob:") -> str:
    """The Content-Security-Policy of a page, which may also use ``upload_addresses`` (space-separated).

    It sends files there, and shows pictures from there. ``style``, ``script`` and ``media`` are the sources of these:
    videos and sounds are by default only those that the page has itself.
    """
    reached = f"'self' {upload_addresses}".strip()
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src {reached} blob: data:; media-src {media};"
        f" connect-src {reached};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def files() -> dict[str, Path]:
    """The files of the pages by name, sorted. The folders only organise the files: URLs have the names only.

    The modules and styles that build_pages.mjs has bundled are not among them. A built layer does not contain them.
    """
    found = (file for file in _FOLDER.rglob("*.*") if file.suffix not in _BUNDLED.get(file.parent.name, ()))
    return {file.name: file for file in sorted(found, key=lambda file: file.name)}


def page(
    name: str, status: int = 200, headers: dict[str, str] | None = None, body: str | None = None
) -> dict[str, Any]:
    """The page file ``name``, or ``body`` in its place, as an API Gateway proxy response."""
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": _TYPES[Path(name).suffix],
            "Content-Security-Policy": _LOGO_POLICY if name == "logo.svg" else policy(),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **document_headers(name),
            **(headers or {}),
        },
        "body": files()[name].read_text("utf-8") if body is None else body,
    }


def redirect(location: str) -> dict[str, Any]:
    """A 303 to ``location`` that is not cached and sends no referrer."""
    return {
        "statusCode": 303,
        "headers": {
            "Location": location,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            **_HTTPS_ALONE,
        },
        "body": "",
    }


def error_page(
    status: int, operator: OperatorInfo, root: str = "", retry_after: int | None = None, request_id: str | None = None
) -> dict[str, Any]:
    """The error page for a browser. It shows nothing that the browser has sent.

    ``root`` is the relative URL of the API, such as ``../../``. After an internal error (500) the page shows the
    request's id, which the person can report.
    """
    name = "try_again.html" if status in (429, 500, 503) else "not_valid.html"
    shown = page(name, status, {"Retry-After": str(retry_after)} if retry_after else None)
    parts = {"__ROOT__": f"{root}pages/{_ANY_VERSION}/", LOGO: operator.logo(f"{root}pages/{_ANY_VERSION}/")}
    parts["__REQUEST__"] = f"<p><small>{escape(request_id)}</small></p>" if request_id else ""
    for placeholder, html in (parts | {OPERATOR: operator.footer()}).items():
        shown["body"] = shown["body"].replace(placeholder, html)
    return shown


def _root_of(event: Mapping[str, Any]) -> str:
    """The relative URL from the request's URL to the API."""
    path = str(event.get("resource", "/")).replace("{path+}", (event.get("pathParameters") or {}).get("path", ""))
    return "../" * (path.count("/") - 1)


def respond(
    event: Mapping[str, Any], work: Callable[[], dict[str, Any]], operator: OperatorInfo, *, html_only: bool = False
) -> dict[str, Any]:
    """The proxy response of ``work``; after an error, a page for browsers and a problem document for other clients.

    ``operator`` is named by the page. ``html_only``: always a page, regardless of the Accept header.
    """
    as_page = html_only or "text/html" in headers_of(event).get("accept", "").lower()
    try:
        return work()
    except LikenessError as error:
        report(error)
        if as_page:
            return error_page(error.status, operator, _root_of(event), error.retry_after)
        return problem(error, request_id_of(event) if error.status == 500 else None)
    except Exception as error:
        report_unexpected(error)
        request_id = request_id_of(event)
        if as_page:
            return error_page(500, operator, _root_of(event), None, request_id)
        return problem(LikenessError(), request_id)
