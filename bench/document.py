"""Writes docs/performance.md from the last results of all parts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import capacity_page, goals, plots
from bench.parts import Machine, Result
from bench.table import markdown
from local.processes import ROOT

DOCS = ROOT / "docs"
DECISIONS = ROOT / "bench" / "studies" / "decisions.md"
#: The title of each part, and the meaning of its figures.
_PARTS = {
    "calls": (
        "Calls",
        "The calls of each operation to AWS and to crun, counted as HTTP requests. The floor is the fewest calls with"
        " which the operation is possible.",
    ),
    "transitions": (
        "State transitions",
        "Transitions of the real state machine, counted while it runs. AWS bills each one; they are most of the cost.",
    ),
    "polling": (
        "Polls, and how late an Active asset is detected",
        "The real poll policy, simulated over many random times until Active. Fewer polls cost less and detect later."
        " The plot shows the 95th percentile of the delay. No schedule below the Pareto front was found.",
    ),
    "bytecode": (
        "What is deployed",
        "`sam build` run twice, in two folders. Lambda compiles source without bytecode at every cold start. An archive"
        " that differs for no reason is deployed again.",
    ),
    "tls": (
        "The first HTTPS call",
        "CPU time of a call on a new connection to a local TLS server. The floor is the second call, on another new"
        " connection. The bundle of root certificates has the usual size.",
    ),
    "cold_start": (
        "Cold starts",
        "From the start of a process to the end of its first invocation, with Lambda's own runtime client and recorded"
        " responses. The floor is a handler that creates `boto3.client`s of the same services and makes one call. The"
        " first row says how the starts are measured. The plot shows CPU time.",
    ),
    "warm": (
        "Warm invocations",
        "CPU time of a handler in a process that is already running. The floor makes the same calls, and the same"
        " presigned forms and URLs, with the same clients, converts the event and the response as Lambda's runtime"
        " does, and does nothing else.",
    ),
    "growth": ("Growth", "The cost of an operation with much stored data, compared with its cost with little."),
    "deployed": (
        "The deployed stack",
        "The real deployment on the emulator. The floor is the time that the emulator needs for the same path (API,"
        " queue, event, execution) with functions that do nothing.",
    ),
    "drop_in": (
        "crun's own routes",
        "How long a program written for crun waits for each response, on the emulator. The floor is the time that the"
        " emulator needs for a request to a function that does nothing, plus crun's own response where crun is called.",
    ),
    "pages": (
        "Pages",
        "The person's page and the console in Chromium, which is slowed to 1.6 Mbit/s and 150 ms for each request. A"
        " function without an idle process lets a request wait for its cold start, as long as the model of memory"
        " sizes says. The floor is one page of as many bytes that makes one call to the same API.",
    ),
    "memory": (
        "Memory, and what each size costs",
        "The peak memory of a process after one invocation, compared with the template's MemorySize. Below it is a"
        " model: a function has memory / 1,769 MB of a processor, but a whole one while it starts; a new TLS"
        " connection for each service that it calls; 10 ms for each call to AWS and 300 ms for each to crun. Each"
        " column shows the seconds of a cold start, and the US dollars for a million of them. The rule: the smallest"
        " size that leaves 40 % free and whose cost times latency is within a tenth of the best.",
    ),
    "capacity": (
        "Capacity",
        "At how many persons an hour each quota ends growth, the check of the model on the emulator, and a simulated"
        " day. [capacity.md](capacity.md) explains it.",
    ),
    "dollars": ("Dollars", "For 1,000 people, at AWS's list prices for us-east-1."),
}
_HEAD = """# Performance

When nobody has used a stack for a while, the person's page is usable after about a second on a slow phone connection,
and a press of Start leads to the face check in one to two seconds, of which crun takes a third of a second. Everybody
who comes within the next minutes waits less, because the functions have started. A file that crun has accepted is
reported after the next poll. One thousand people with five files each cost about a dollar at AWS. The table below has
a goal for each of these figures. The rest of the page is for those who compare costs and latencies, or change the code.

`make bench` writes this page; do not edit the figures by hand. Milliseconds differ from machine to machine, so most
figures are ratios to a floor that is measured in the same run: the cost of the same work without the application
around it. Cold starts are measured in instructions, counted by the processor (`perf stat`) or by valgrind, because
other load on the machine changes CPU time by a third and the number of instructions not at all. Each function is
compared with its floor run by run, with a fixed hash seed; the median of the ratios counts. On a machine that has
neither, CPU time takes their place. A goal is a limit for the ratio, or for the figure where there is no floor.
`limited` means that a goal is missed for the reason given below the table.
"""
_REPEAT = """## How to repeat

```sh
make bench                      # all parts, within 12 minutes on two processors; writes this page
make bench ONLY="tls memory"    # some parts; the others keep their last figures
make bench-check                # the figures that are the same on every machine, compared with their baseline
```

No AWS account and no crun key are needed: an emulator, moto or recorded responses take the place of AWS, and the
simulator in `local/` that of crun. Results are stored in `build/bench/`, one file for each part. A part that exceeds
its bound is ended and keeps its last figures; on a busy machine, `python -m bench run --slower 3` multiplies the
bounds. valgrind (`apt-get install valgrind`) and Chromium (`make setup-browser`) are used when they are installed.
"""
_SOURCES = """## Sources

- [Lambda: memory and processor](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html): one vCPU at
  1,769 MB
- [Lambda: the runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), which the cold starts use
- [Lambda: prices](https://aws.amazon.com/lambda/pricing/),
  [Step Functions: prices](https://aws.amazon.com/step-functions/pricing/),
  [DynamoDB: prices on demand](https://aws.amazon.com/dynamodb/pricing/on-demand/)
- [PEP 552](https://peps.python.org/pep-0552/): bytecode that is loaded without a check of its source
"""


def write(results: Sequence[Result], docs: Path = DOCS) -> Path:
    """Writes the page and its plots, and returns its path."""
    parts = [_part(result, docs / "images") for result in results]
    kept = f"## Kept and dropped\n\n{DECISIONS.read_text().strip()}\n"
    page = docs / "performance.md"
    waited_for = goals.table(results)
    table = [f"## Where a person waits\n\n{markdown(waited_for)}"] if waited_for else []
    page.write_text("\n".join([_HEAD, _summary(results), *table, _REPEAT, _machines(results), *parts, kept, _SOURCES]))
    for result in results:
        if result.part == "capacity" and result.extra:
            (docs / "capacity.md").write_text(capacity_page.text(result.extra, result.machine.date))
    return page


def _summary(results: Sequence[Result]) -> str:
    judged = [row for result in results for row in result.rows if row.passes is not None]
    missed = [row for row in judged if not row.passes]
    line = f"{len(judged) - len(missed)} of {len(judged)} goals are met."
    limited = sum(bool(row.note) for row in missed)
    if limited:
        line += f" {limited} {'is' if limited == 1 else 'are'} missed for a stated reason."
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
        text = f"{each.processor}, {cores}, Python {each.python}, {each.date}"
        lines.append(f"- {text}" + (f": {', '.join(names)}" if len(found) > 1 else ""))
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
    """Returns a Markdown table; the first line is its head."""
    head, *body = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])
