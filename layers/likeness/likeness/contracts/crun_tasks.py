"""crun's responses about generation tasks, parsed tolerantly: two spellings of most fields were seen.

``media_urls`` is beside or in ``result``, or ``result.media_info`` has objects instead; a status may be in upper case;
times are ISO 8601 or epoch (seconds or milliseconds); credits are a number or a text, a fraction, or absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from likeness.contracts.crun import one_line
from likeness.domain.generation import TaskReport
from likeness.errors import UpstreamAmbiguous

#: More results than any model returns.
_MOST_URLS = 20
_LONGEST_URL = 8192
_LONGEST_WORDS = 500
_LONGEST_WORD = 100
_MOST_USAGE = 20
#: Numbers are smaller than that: DynamoDB stores 38 digits, and readers of JSON keep fewer.
_TOO_MANY = 1e15
#: In epoch seconds, this is the year 2286; a later time is in milliseconds.
_LATEST_SECONDS = 1e10
_URL = re.compile(r"https?://[\x21-\x7e]+")
_NAMES_OF_URL = ("url", "media_url", "file_url", "video_url", "image_url")
#: Settings such as 720p and 16:9, which say nothing of a request's content.
_SETTING = re.compile(r"[0-9]{1,4}(?:p|k|:[0-9]{1,4})?", re.ASCII)


def read_task_report(data: Mapping[str, Any], task_id: str) -> TaskReport:
    """The report in the ``data`` of TaskInfo for the task ``task_id``. Never raises for crun's values.

    The words of a failure are crun's, bounded, and without URLs.
    """
    result = _object(data.get("result"))
    parameters = _object(data.get("param"))
    code = one_line(result.get("code")) or one_line(data.get("error_code"))
    return TaskReport(
        task_id=task_id,
        status=(one_line(data.get("status")) or "").strip().lower()[:_LONGEST_WORD],
        media_urls=_media_urls(data, result),
        credits=_number(data.get("credits")),
        code=code[:_LONGEST_WORD] if code else None,
        message=_words(result.get("message"), data.get("reason"), data.get("error"), data.get("message")),
        usage=_usage(result.get("usage")),
        model_version=_word(data.get("model_version")),
        provider=_word(data.get("provider")),
        completed_at=_time(data.get("complete_at")),
        duration_seconds=_number(data.get("duration_s")),
        callback_url=one_line(parameters.get("callback_url")) or one_line(data.get("callback_url")),
    )


def texts_of(content: object) -> Iterator[str]:
    """The texts of a request at any depth, which errors must not repeat: the prompt, URLs and ids."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
        elif isinstance(each, str) and not _SETTING.fullmatch(each):
            yield each


def _object(given: object) -> Mapping[str, Any]:
    """An object, also one that is sent as a JSON text."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {}
    return given if isinstance(given, dict) else {}


def _media_urls(data: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[str, ...]:
    for holder, name in ((result, "media_urls"), (data, "media_urls"), (result, "media_info"), (data, "media_info")):
        found = dict.fromkeys(_urls(holder.get(name)))
        if found:
            return tuple(found)[:_MOST_URLS]
    return ()


def _urls(given: object) -> Iterator[str]:
    """The URLs of a text, an object, or a list of either."""
    for each in given if isinstance(given, list) else [given]:
        named = [each.get(name) for name in _NAMES_OF_URL] if isinstance(each, dict) else [each]
        url = next((one for one in named if isinstance(one, str)), "")
        if len(url) <= _LONGEST_URL and _URL.fullmatch(url):
            yield url


def read_estimate(data: Mapping[str, Any], name: str) -> float:
    """Returns the credits of an estimate, from a number or a text. Raises UpstreamAmbiguous for any other value.

    They are reserved: a negative number would add to the budget.
    """
    found = _number(data.get(name))
    if found is None:
        raise UpstreamAmbiguous(f"crun's {name} is not a number of credits")
    return found


def _number(given: object) -> float | None:
    """A number that is neither negative nor too large to be stored, from a number or a text."""
    if not isinstance(given, (int, float, str)) or isinstance(given, bool):
        return None
    try:
        number = float(given)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < _TOO_MANY else None  # NaN is not comparable


def _time(given: object) -> float | None:
    """Epoch seconds."""
    number = _number(given)
    if number is not None:
        return number / 1000 if number > _LATEST_SECONDS else number
    try:
        found = datetime.fromisoformat(given.strip()) if isinstance(given, str) else None
        # crun's documentation does not name a time zone.
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() if found else None
    except (ValueError, OverflowError):
        return None


def _word(given: object) -> str | None:
    text = one_line(given)
    return text[:_LONGEST_WORD] if text else None


def _words(*given: object) -> str | None:
    """The first text, also in an object's ``message``. One with a URL is left out, because that may be a secret."""
    for each in given:
        text = one_line(each.get("message") if isinstance(each, dict) else each)
        if text and "://" not in text:
            return text[:_LONGEST_WORDS]
    return None


def _usage(given: object, depth: int = 2) -> dict[str, Any]:
    """Numbers, short texts and objects of them."""
    found: dict[str, Any] = {}
    for key, each in list(_object(given).items())[:_MOST_USAGE]:
        name = _word(key)
        if name is None:
            continue
        if isinstance(each, bool) or (isinstance(each, (int, float)) and abs(each) < _TOO_MANY):
            found[name] = each
        elif isinstance(each, str) and "://" not in each:
            found[name] = _word(each) or ""
        elif isinstance(each, dict) and depth > 1:
            found[name] = _usage(each, depth - 1)
    return found
