"""How many requests one person makes, and which of them the firewall counts.

Measured by tests/browser (the whole way of one person on a phone, with three files): 48 requests, of which 30 load the
page twice, 11 ask how the session stands, and 7 are steps: the consent's text, the consent, the attempt, the callback
and a place for each file. A page that waits goes on asking.
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urlsplit

from tests.template_file import RESOURCES

#: The window in which AWS WAF counts.
WINDOW_SECONDS = 300
#: The shortest pause of the page between two looks at its session (pollDelay in state.js), and how much less it may be.
POLL_SECONDS = 2.5
POLL_SPREAD = 0.9
#: The most that is counted of one person on the way to three files, without the looks.
STEPS_OF_A_PERSON = 16
REQUESTS_OF_A_PERSON = math.ceil(WINDOW_SECONDS / (POLL_SECONDS * POLL_SPREAD)) + STEPS_OF_A_PERSON


def rule() -> dict[str, Any]:
    """The rule of the firewall that bounds one address."""
    (found,) = [
        each["Statement"]["RateBasedStatement"]
        for each in RESOURCES["ApiFirewall"]["Properties"]["Rules"]
        if "RateBasedStatement" in each["Statement"]
    ]
    statement: dict[str, Any] = found
    return statement


def is_counted(url: str) -> bool:
    """Whether the firewall counts a request to ``url``."""
    left_out = rule()["ScopeDownStatement"]["NotStatement"]["Statement"]["RegexMatchStatement"]
    assert left_out["FieldToMatch"] == {"UriPath": {}}
    return not re.search(left_out["RegexString"], urlsplit(url).path)
