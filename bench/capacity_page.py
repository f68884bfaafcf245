"""Writes docs/capacity.md from the model and from the last results of the part ``capacity``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from bench.studies.capacity import (
    CLIENTS,
    DAY_FILES,
    DAY_PER_10S,
    FILES,
    PAGE_REQUESTS,
    PERSONS_A_DAY,
    READ_ON,
    Quota,
    crun_calls,
    default,
    person,
    quotas,
)

_WIDTH = 120


def text(extra: Mapping[str, Any], date: str) -> str:
    """Returns the page. ``extra`` is that of the part: ``{"day": {figure: value}, "check": [[…], …]}``."""
    ordered = quotas()
    blocks = [
        "# Capacity",
        _filled(
            "For operators who expect many people: at how many persons an hour which limit ends growth, and what moves"
            f" it. `make bench` writes this page; it was last measured on {date}."
        ),
        _answer(ordered),
        "## Which limit comes first",
        _filled(
            f"A person of this table has {FILES} files and uses what `ops/usage.json` counts: {crun_calls(person()):g}"
            f" calls to crun, {person().transitions:g} state transitions, {sum(person().invocations.values()):g}"
            f" invocations; and {PAGE_REQUESTS} requests for the files of the page. Limits are the template's defaults,"
            f" and AWS's published quotas as of {READ_ON}. An account may have others: a new one has lower ones"
            " (`python -m ops preflight` shows them)."
        ),
        _table(ordered),
        "## How many permits crun has to grant",
        _permits(),
        f"## A day with {PERSONS_A_DAY:,} persons",
        _day(extra["day"]),
        "## The model and the emulator",
        _check(extra["check"]),
        "## Sources",
        _sources(ordered),
    ]
    return "\n\n".join(blocks) + "\n"


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _answer(ordered: list[Quota]) -> str:
    crun = next(each for each in ordered if each.name == "calls to crun, all clients")
    following = next(each for each in ordered if "crun" not in each.name)
    return _filled(
        f"crun's rate limit comes first, by far. With the default of {default('CrunRequestsPer10s'):g} calls in ten"
        f" seconds, {crun.persons:,.0f} persons an hour are possible, three quarters of them for one client. No quota"
        f" of AWS matters below {_round(following.persons)} persons an hour, and that one is {_named(following)}."
    )


def _named(quota: Quota) -> str:
    return f"“{quota.name}”"


def _round(persons: float) -> str:
    return f"{persons:,.0f}"


def _table(ordered: list[Quota]) -> str:
    lines = ["| limit | a second | one person | persons an hour | moved by |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.limit:,g} {each.unit} | {each.use:,.4g} | {_round(each.persons)} | {each.moves} |"
        for each in ordered
    ]
    return "\n".join(lines)


def _permits() -> str:
    calls = crun_calls(person())
    lines = ["| persons an hour | `CrunRequestsPer10s`, several clients | one client |", "|---|---|---|"]
    for persons in (100, 300, 1_000, 3_000, 10_000):
        needed = persons * calls / 360
        lines.append(f"| {persons:,} | {needed:,.0f} | {needed * 4 / 3:,.0f} |")
    below = _filled(
        "Ask crun for that many calls first: the parameter only keeps the stack below what crun allows. One"
        " partition of DynamoDB holds the rate limiter's items, and admits a thousand writes a second."
    )
    return "\n".join(lines) + "\n\n" + below


def _day(day: Mapping[str, float]) -> str:
    return _filled(
        f"Simulated event by event with the real rate limiter and poll schedule, {DAY_FILES} files a person,"
        f" {CLIENTS} clients, `CrunRequestsPer10s={DAY_PER_10S}`, and 1.8 times as many persons in the busiest hour as"
        f" on average: {day['finished']:,.0f} persons finish. They make {day['calls']:.2f} calls to crun each, at most"
        f" {day['crun in 10 s']:,.0f} in ten seconds, and {day['transitions']:.1f} transitions, at most"
        f" {day['transitions in 10 s'] / 10:,.0f} a second. At most {day['running']:,.0f} executions run at once. A"
        f" link takes at most {day['link p99']:.2f} s of waiting for a permit for 99 % of people;"
        f" {day['refused']:,.0f} requests are answered with 429. Half of the files are detected within"
        f" {day['delay p50']:.1f} s of being Active, 95 % within {day['delay p95']:.1f} s. That a file takes 20 s"
        " (median) and a person 20 to 100 s for the face check is assumed."
    )


def _check(check: list[list[int]]) -> str:
    lines = [
        "| persons | calls to crun | model | executions | model | transitions | model |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(f"{each:,}" for each in line) + " |" for line in check]
    above = _filled(
        "The same simulation, compared with the deployed stack on the emulator; each person has one file. Only numbers"
        " are compared, because times on the emulator say nothing about AWS."
    )
    return above + "\n\n" + "\n".join(lines)


def _sources(ordered: list[Quota]) -> str:
    pages = sorted({each.source for each in ordered if each.source.startswith("https://")})
    below = _filled(
        "The figures of Step Functions are those of its page as others quoted it on 2026-10-07. Compare all of them"
        " with Service Quotas in your account before you rely on them."
    )
    return "\n".join([f"- <{each}>, {READ_ON}" for each in pages]) + "\n\n" + below
