"""The files of the pages, as answers of API Gateway."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

#: Beside the package: ``layers/likeness/pages``, which the layer's build copies to ``/opt/python/pages``.
_FOLDER = Path(__file__).parents[2] / "pages"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


#: For a year, this host by HTTPS alone. Browsers ignore it from a page that came by http, as on one's own machine.
_HTTPS_ALONE = {"Strict-Transport-Security": "max-age=31536000"}
#: What pages never use, and what people record with where they choose their files. The face check is on crun's host.
_UNUSED_FEATURES = ("display-capture", "geolocation", "midi", "payment", "serial", "usb")
_RECORDING_FEATURES = ("camera", "microphone")
_RECORDING_PAGES = ("invite.html",)


def document_headers(name: str) -> dict[str, str]:
    """Returns the headers that keep the page ``name`` to itself: its window, the device, and HTTPS.

    A file that is no page has the last one alone. Sources: the HTML standard ("Cross-origin opener policies"), W3C's
    Permissions Policy, RFC 6797 (Strict-Transport-Security).
    """
    if not name.endswith(".html"):
        return _HTTPS_ALONE
    recording = "(self)" if name in _RECORDING_PAGES else "()"
    features = [f"{each}=()" for each in _UNUSED_FEATURES] + [f"{each}={recording}" for each in _RECORDING_FEATURES]
    return _HTTPS_ALONE | {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(features),
    }


def policy(upload_addresses: str = "") -> str:
    """The Content-Security-Policy of a page, which may also send files to ``upload_addresses`` (space-separated)."""
    reached = f"'self' {upload_addresses}".strip()
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' blob: data:; media-src blob:;"
        f" connect-src {reached};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def files() -> dict[str, Path]:
    """The files of the pages by name, sorted. The folders only sort the sources: a browser asks for a name alone."""
    return {file.name: file for file in sorted(_FOLDER.rglob("*.*"), key=lambda file: file.name)}


def page(
    name: str, status: int = 200, headers: dict[str, str] | None = None, body: str | None = None
) -> dict[str, Any]:
    """The page file ``name``, or ``body`` in its place, as an API Gateway proxy answer."""
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": _TYPES[Path(name).suffix],
            "Content-Security-Policy": policy(),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **document_headers(name),
            **(headers or {}),
        },
        "body": files()[name].read_text("utf-8") if body is None else body,
    }


def redirect(location: str) -> dict[str, Any]:
    """303 to ``location``, which nobody keeps and whose page does not learn where the browser came from."""
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


def error_page(status: int, retry_after: int | None = None, request_id: str | None = None) -> dict[str, Any]:
    """What a browser gets when a link cannot be served. Nothing of what the browser sent is shown.

    After a fault of ours (500) the request's id stands below: the person can name it to who asked for the check.
    """
    name = "try_again.html" if status in (429, 500, 503) else "not_valid.html"
    shown = page(name, status, {"Retry-After": str(retry_after)} if retry_after else None)
    if request_id:
        shown["body"] = shown["body"].replace("</body>", f"<p><small>{escape(request_id)}</small></p>\n</body>")
    return shown
