"""The number of requests that one person makes, and which of them the firewall counts.

Measured by tests/browser (one person on a phone, with three files): 25 requests. 3 load the page, 14 read the session,
and 8 are steps: a refusal, the consent, the attempt, the callback, an upload slot for each file, and the end.
A waiting page continues to poll.
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urlsplit

from tests.template_file import RESOURCES

#: The window in which AWS WAF counts.
WINDOW_SECONDS = 300
#: The page's shortest delay between two polls of its session (pollDelay in state.js), and its smallest jitter factor.
POLL_SECONDS = 2.5
POLL_SPREAD = 0.9
#: The maximum number of counted requests of one person with three files, without the polls.
STEPS_OF_A_PERSON = 16
REQUESTS_OF_A_PERSON = math.ceil(WINDOW_SECONDS / (POLL_SECONDS * POLL_SPREAD)) + STEPS_OF_A_PERSON


def rule() -> dict[str, Any]:
    """Returns the firewall's rule that limits one address."""
    (found,) = [
        each["Statement"]["RateBasedStatement"]
        for each in RESOURCES["ApiFirewall"]["Properties"]["Rules"]
        if "RateBasedStatement" in each["Statement"]
    ]
    statement: dict[str, Any] = found
    return statement


def is_counted(url: str) -> bool:
    """Returns whether the firewall counts a request to ``url``."""
    left_out = rule()["ScopeDownStatement"]["NotStatement"]["Statement"]["RegexMatchStatement"]
    assert left_out["FieldToMatch"] == {"UriPath": {}}
    return not re.search(left_out["RegexString"], urlsplit(url).path)
