"""Who asks the person: the operator's name, contact, privacy link and logo, as the pages show them.

The layer's build writes the facts (build_operator.py). The stack's parameters take precedence, because they are in the
consent text too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape

from likeness.runtime.pages import files

#: The height of a logo in CSS pixels.
_LOGO_HEIGHT = 28
_UNNAMED = "The operator of this service"
_PRIVACY = "Privacy"


@dataclass(frozen=True)
class OperatorInfo:
    """``name``, ``contact`` (an e-mail address, an https URL or a text) and ``privacy_url`` may be empty.

    ``logo_ratio`` is the width of logo.svg to its height, None without a logo.
    """

    name: str = ""
    contact: str = ""
    privacy_url: str = ""
    logo_ratio: float | None = None

    @property
    def contact_url(self) -> str | None:
        """A link for the contact, or None if it is a text."""
        if self.contact.startswith("https://"):
            return self.contact
        return f"mailto:{self.contact}" if re.fullmatch(r"[^@\s]+@[^@\s]+", self.contact) else None

    def logo(self, pages: str) -> str:
        """The logo as HTML, empty without one. ``pages`` is the URL of the pages' files, with a slash at its end."""
        return picture(f"{pages}logo.svg", self.logo_ratio) if self.logo_ratio else ""

    def footer(self) -> str:
        """A line that names the operator, as HTML in English. The person's page changes its language (frame.js)."""
        name = f'<span id="operator-name">{escape(self.name or _UNNAMED)}</span>'
        found = [_link(self.contact_url, self.contact), _link(self.privacy_url, _PRIVACY, "operator-privacy")]
        known = f' data-name="{escape(self.name)}"' if self.name else ""
        return f'<footer class="operator" id="operator"{known}>{" ".join([name, *filter(None, found)])}</footer>'


def picture(url: str, ratio: float) -> str:
    """An image whose alternative text is beside it, as HTML."""
    width = round(_LOGO_HEIGHT * ratio)
    return f'<img class="logo" src="{escape(url)}" alt="" width="{width}" height="{_LOGO_HEIGHT}">'


def _link(url: str | None, words: str, element_id: str = "") -> str:
    named = f' id="{element_id}"' if element_id else ""
    if not url:
        return f"<span{named}>{escape(words)}</span>" if words and not element_id else ""
    return f'<a{named} href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(words)}</a>'


def operator_info(name: str, contact: str) -> OperatorInfo:
    """The operator of this deployment, by the layer's operator.json; ``name`` and ``contact`` replace its own if set.

    Without a built operator.json, as in the sources, nobody is named.
    """
    file = files().get("operator.json")
    facts = json.loads(file.read_text("utf-8")) if file else {}
    given = facts | {key: value for key, value in (("name", name), ("contact", contact)) if value}
    return OperatorInfo(**{key: value for key, value in given.items() if value})
