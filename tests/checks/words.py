"""Words that a newcomer to the project would not understand, and the standard ones: ``python -m tests.checks.words``.

Part of ``make check``. It reads every text file that git tracks: code, comments, docs, pages, templates and commands.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A single word, also as a part of a name (`RateGovernor`, `rate_governor`), and what to write in its place.
WORDS = {
    "governor": "rate limiter, permit, lane",
    "stranger": "untrusted host, another person",
    "strangers": "untrusted hosts",
    "told": "notified, published, reported",
    "tells": "notifies, publishes, reports",
    "heard": "received",
    "hears": "receives",
    "patience": "retry policy, timeout",
    "curiosity": "exploration",
    "twin": "duplicate, fake",
    "twins": "duplicates, fakes",
    "vendor": "crun",
    "vendors": "crun's",
    "gate": "check, CI",
    "gates": "checks",
}
PHRASES = {
    "there is no such": "not found",
    "the present state": "the current state",
    "who asks for": "a caller that requests",
    "what there is to know": "the facts",
    "no word of": "nothing about",
}
#: Stored keys, metrics and logical ids, which keep their names; and what is not ours.
KEPT = re.compile(r"\bGOVERNOR\b|GovernorWaitSeconds|\bEyes\b|VendorName|\bvendored\b")
LEFT_OUT = re.compile(
    r"^(CHANGELOG\.md|LICENSE|tests/checks/words\.py|tests/checks/test_words\.py|requirements/.*|bench/baseline\.json"
    r"|layers/.*(requirements|models)\.txt|layers/likeness/pages/built/.*|tests/workflow/previous/.*|ops/usage\.json|.*\.(png|svg|jpg|ico))$"
)
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Yields the line, the word and what to write in its place."""
    for number, line in enumerate(text.splitlines(), 1):
        line = KEPT.sub("", line)
        for part in _PART.findall(line):
            if part.lower() in WORDS:
                yield number, part, WORDS[part.lower()]
        for phrase, better in PHRASES.items():
            if phrase in line.lower():
                yield number, phrase, better


def main() -> int:
    """Prints each finding as ``file:line: word (standard word)``. Returns 1 when there are any."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    count = 0
    for name in filter(None, listed.split("\0")):
        if LEFT_OUT.match(name) or not (ROOT / name).is_file():
            continue
        for line, word, better in findings((ROOT / name).read_text("utf-8", "replace")):
            print(f"{name}:{line}: {word} ({better})")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
