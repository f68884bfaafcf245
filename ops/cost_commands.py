"""``python -m ops cost``: the cost of a month."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from ops.cost import PRICES, Figures, Line, Price, month

#: The default columns of the table: people per month. 0 is an idle stack.
USUAL = (0, 100, 1_000, 10_000)
#: A price is shown for as many units as make it at least this many dollars.
_LEAST, _TIMES = 0.02, ((1, ""), (1e6, "1,000,000 times "), (1e9, "1,000,000,000 times "))


@click.command()
@click.option(
    "--persons",
    type=click.FloatRange(min=0),
    multiple=True,
    help="People per month. Can be given several times. [default: 0, 100, 1,000, 10,000]",
)
@click.option(
    "--assets",
    type=click.FloatRange(min=0, max=100),
    default=Figures(0).assets,
    show_default=True,
    help="Files per person.",
)
@click.option(
    "--megabytes",
    type=click.FloatRange(min=0),
    default=Figures(0).megabytes,
    show_default=True,
    help="Size of a file, in MB.",
)
@click.option(
    "--page-requests",
    type=click.FloatRange(min=0),
    default=Figures(0).page_requests,
    show_default=True,
    help="Requests by a person's browser.",
)
@click.option(
    "--webhooks",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Webhook endpoints that receive each event.",
)
@click.option(
    "--months",
    type=click.FloatRange(min=1),
    default=Figures(0).months,
    show_default=True,
    help="Months of people in the inventory.",
)
@click.option("--firewall", is_flag=True, help="With Firewall=on.")
@click.option("--alarm-email", is_flag=True, help="With an AlarmEmail: the alarms' topic has a KMS key.")
@click.option("--markdown", is_flag=True, help="Print the table in Markdown, for docs/cost.md.")
@click.option("--prices", is_flag=True, help="Print the prices instead.")
def cost(
    persons: tuple[float, ...],
    assets: float,
    megabytes: float,
    page_requests: float,
    webhooks: int,
    months: float,
    firewall: bool,
    alarm_email: bool,
    markdown: bool,
    prices: bool,
) -> None:
    """Compute the cost of a month, in US dollars at AWS's list prices for us-east-1, without crun's prices.

    It uses the measured usage of onboarded people. docs/cost.md lists what is counted and what is not.
    """
    if prices:
        click.echo("\n".join(_markdown(("for", "US dollars"), [_price(each) for each in PRICES.values()])))
        return
    columns = persons or USUAL
    bills = [
        month(Figures(each, assets, megabytes, page_requests, webhooks, months, firewall, alarm_email))
        for each in columns
    ]
    head, *rows = table_of(columns, bills)
    if markdown:
        click.echo("\n".join(_markdown(head, rows)))
        return
    table = Table(head[0], title="US dollars a month, by persons")
    for each in head[1:]:
        table.add_column(each, justify="right")
    for row in rows:
        table.add_row(*row)
    Console(width=120 if not Console().is_terminal else None, highlight=False).print(table)


def table_of(columns: tuple[float, ...], bills: list[list[Line]]) -> list[tuple[str, ...]]:
    """Returns the head, the lines of the bills, and the sums of fixed costs, of costs by use, and of both."""
    lines: list[tuple[str, ...]] = [("", *(f"{each:,g}" if each else "idle" for each in columns))]
    for row in zip(*bills, strict=True):
        lines.append((row[0].name, *(_dollars(each.dollars) for each in row)))
    for name, which in (("Always", (True,)), ("By use", (False,)), ("A month", (True, False))):
        sums = [sum(each.dollars for each in bill if each.always in which) for bill in bills]
        lines.append((name, *map(_dollars, sums)))
    return lines


def _price(price: Price) -> tuple[str, str]:
    """Returns the text of a price, for a million units where one costs a fraction of a cent."""
    times, words = next(each for each in _TIMES if price.dollars * each[0] >= _LEAST)
    service = price.source.split("/")[3]
    return f"[{service}]({price.source}): {words}{price.per}", f"{price.dollars * times:.4g}"


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}"


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    ruler = "|---" + "|---:" * (len(head) - 1) + "|"
    return ["| " + " | ".join(head) + " |", ruler, *("| " + " | ".join(each) + " |" for each in rows)]
