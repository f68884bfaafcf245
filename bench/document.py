"""docs/performance.md, written from the last results of all parts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import plots
from bench.parts import Machine, Result
from bench.table import markdown
from local.processes import ROOT

DOCS = ROOT / "docs"
DECISIONS = ROOT / "bench" / "decisions.md"
#: The title of each part, and what its figures mean.
_PARTS = {
    "calls": (
        "Calls",
        "What each operation asks of AWS and of crun, counted on the wire. The floor is what the operation cannot do"
        " without.",
    ),
    "transitions": (
        "State transitions",
        "Of the real state machine, counted while it is executed. AWS bills each one; they are most of the price.",
    ),
    "polling": (
        "Polls and how late an Active asset is seen",
        "The real schedule played over many drawn times until Active. Few polls are cheap, late answers are slow.",
    ),
    "bytecode": (
        "What is deployed",
        "`sam build` twice, in two folders. Source without bytecode is compiled at every cold start; an archive that"
        " differs is deployed again for nothing.",
    ),
    "tls": (
        "The first HTTPS call",
        "CPU time of a call on a new connection to a local TLS server; the floor is the second call, on another new"
        " connection. The bundle of root certificates has its ordinary size.",
    ),
    "cold_start": (
        "Cold starts",
        "CPU time from the start of a process to the end of its first invocation, under Lambda's own runtime client,"
        " against recorded answers. The floor is a handler that makes `boto3.client`s of the same services and one"
        " call.",
    ),
    "warm": ("Warm invocations", "CPU time of a handler whose process is there already."),
    "growth": ("Growth", "What one operation costs when much is stored already, beside what it costs when little is."),
    "deployed": (
        "The deployed stack",
        "The real deployment on the emulator. The floor is what the emulator takes for the same hops (API, queue,"
        " event, execution) when the functions at their ends do nothing.",
    ),
    "drop_in": (
        "The vendor's own routes",
        "What a program of the vendor's waits for each answer, on the emulator. The floor is what the emulator takes"
        " for a request to a function that does nothing and, where crun has to be asked, crun's own answer.",
    ),
    "memory": (
        "Memory, and what a size buys",
        "The peak of a process after one invocation, beside the template's MemorySize. Below it a model: a function has"
        " memory / 1,769 MB of a processor, but a whole one while it starts; a new TLS connection for each service that"
        " is called; 10 ms for each call to AWS and 300 ms for each to crun. In each column: seconds of a cold start,"
        " and US dollars of a million of them. The rule: the smallest size that keeps 40 % free and whose cost times"
        " latency is within a tenth of the best.",
    ),
    "dollars": ("Dollars", "For 1,000 persons, at AWS's list prices for us-east-1."),
}
_HEAD = """# Performance

Written by `make bench`; figures are not edited by hand.

What a user pays in waiting and in dollars. Milliseconds differ from machine to machine, so most figures are ratios to a
floor that is measured in the same run: what the same work costs when nobody writes a product around it. CPU time, not
time on the clock, wherever a process is measured: it is what Lambda gives by the size of a function, and what a busy
machine disturbs least. A goal is a bound of the ratio, or of the figure where there is no floor. `limited` means that a
goal is missed for the reason given below the table.
"""
_REPEAT = """## How to repeat

```sh
make bench                      # all parts, within 15 minutes on two processors; writes this page
make bench ONLY="tls memory"    # some parts; the others keep their last figures
make bench-check                # the parts that give the same figures everywhere, against their baseline
```

No AWS account and no key of crun's: AWS is an emulator, moto, or its recorded answers; crun is the simulator of
`local/`. Results are kept in `build/bench/`, one file for each part.
"""
_SOURCES = """## Sources

- [Lambda: memory and processor](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html): one vCPU at
  1,769 MB
- [Lambda: the runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), which the cold starts use
- [Lambda: prices](https://aws.amazon.com/lambda/pricing/),
  [Step Functions: prices](https://aws.amazon.com/step-functions/pricing/),
  [DynamoDB: prices on demand](https://aws.amazon.com/dynamodb/pricing/on-demand/)
- [PEP 552](https://peps.python.org/pep-0552/): bytecode that is read without a look at its source
"""


def write(results: Sequence[Result], docs: Path = DOCS) -> Path:
    """Writes the page and its plots; its path."""
    parts = [_part(result, docs / "images") for result in results]
    kept = f"## Kept and dropped\n\n{DECISIONS.read_text().strip()}\n"
    page = docs / "performance.md"
    page.write_text("\n".join([_HEAD, _summary(results), _REPEAT, _machines(results), *parts, kept, _SOURCES]))
    return page


def _summary(results: Sequence[Result]) -> str:
    judged = [row for result in results for row in result.rows if row.passes is not None]
    missed = [row for row in judged if not row.passes]
    line = f"{len(judged) - len(missed)} of {len(judged)} goals are met."
    limited = sum(bool(row.note) for row in missed)
    if limited:
        line += f" {limited} {'is' if limited == 1 else 'are'} missed for a reason that is given."
    if len(missed) > limited:
        line += " Missed: " + ", ".join(f"{row.figure} ({row.part})" for row in missed if not row.note) + "."
    return line + "\n"


def _machines(results: Sequence[Result]) -> str:
    found: dict[Machine, list[str]] = {}
    for result in results:
        found.setdefault(result.machine, []).append(result.part)
    lines = ["## Where", ""]
    for each, names in found.items():
        cores = f"{each.cores} {'processor' if each.cores == 1 else 'processors'}"
        said = f"{each.processor}, {cores}, Python {each.python}, {each.date}"
        lines.append(f"- {said}" + (f": {', '.join(names)}" if len(found) > 1 else ""))
    return "\n".join(lines) + "\n"


def _part(result: Result, images: Path) -> str:
    title, meaning = _PARTS[result.part]
    blocks = [f"## {title}", textwrap.fill(meaning, 120, break_long_words=False, break_on_hyphens=False)]
    image = images / f"bench-{result.part.replace('_', '-')}.svg"
    if plots.draw(result.part, result.extra, image):
        blocks.append(f"![{title}](images/{image.name})")
    blocks.append(markdown(result.rows).strip())
    if "table" in result.extra:
        blocks.append(_table(result.extra["table"]))
    return "\n\n".join(blocks) + "\n"


def _table(lines: list[list[Any]]) -> str:
    """A Markdown table; the first line is its head."""
    head, *body = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])
