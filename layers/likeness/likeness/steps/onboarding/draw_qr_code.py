"""POST /qr-codes: a link as a QR code."""

from __future__ import annotations

import re
from io import BytesIO

from likeness.domain.caller import Caller
from likeness.errors import Forbidden, InvalidRequest

#: Characters of a link. A QR code holds 2,953 bytes at most.
LONGEST_LINK = 2048
_LINK = re.compile(r"https?://[!-~]+")
_DARK, _LIGHT = "#141c26", "#fff"


def draw_qr_code(caller: Caller, credential: str, link: str) -> str:
    """Returns the QR code of ``link`` as an SVG document without a fixed size.

    A client may send any link. A person may send only their own invite link, whose fragment is ``credential``, the
    session token of the request. Raises InvalidRequest when ``link`` is not a URL of 2,048
    printable ASCII characters at most, and Forbidden when a person sends another link.
    """
    if len(link) > LONGEST_LINK or not _LINK.fullmatch(link):
        message = f"body: must be an http or https URL of at most {LONGEST_LINK} printable ASCII characters"
        raise InvalidRequest(message, field="body")
    if caller.is_person and link.partition("#")[2] != credential:
        raise Forbidden("A session token can only be used for its own invite link")
    return _svg_of(link)


def _svg_of(link: str) -> str:
    import segno  # only this route needs it, and importing it would slow down the pages

    drawn = BytesIO()
    segno.make_qr(link, error="l").save(
        drawn,
        kind="svg",
        dark=_DARK,
        light=_LIGHT,
        xmldecl=False,
        omitsize=True,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    # Anti-aliasing would show lines between the rows at sizes that are not a multiple of the module count.
    return drawn.getvalue().decode().replace("<svg ", '<svg shape-rendering="crispEdges" ', 1)
