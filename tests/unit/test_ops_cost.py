"""`python -m ops cost`: the docs have its table, and its figures follow the template and the options."""

from __future__ import annotations

import copy

import pytest
from click.testing import CliRunner

from ops.cli import main
from ops.cost import Figures, month, recorded
from tests.template_file import RESOURCES, ROOT, TEMPLATE

PAGE = (ROOT / "docs" / "cost.md").read_text()


def total(figures: Figures, template: dict[str, object] | None = None) -> float:
    return sum(each.dollars for each in month(figures, template))


def line(name: str, figures: Figures, template: dict[str, object] | None = None) -> float:
    (found,) = [each.dollars for each in month(figures, template) if each.name == name]
    return found


def test_the_docs_have_the_table_that_the_command_prints() -> None:
    result = CliRunner().invoke(main, ["cost", "--markdown"])
    assert result.exit_code == 0, result.output
    assert result.output in PAGE, "put the output of `python -m ops cost --markdown` into docs/cost.md"


def test_the_docs_have_the_prices_and_the_sum_of_an_idle_month() -> None:
    result = CliRunner().invoke(main, ["cost", "--prices"])
    assert result.output in PAGE, "put the output of `python -m ops cost --prices` into docs/cost.md"
    idle = f"${total(Figures(0)):.2f} a month"
    for page in ("README.md", "docs/cost.md"):
        assert idle in (ROOT / page).read_text()


def test_an_unused_stack_costs_only_the_fixed_costs() -> None:
    assert all(each.always or each.dollars == 0 for each in month(Figures(0)))


def test_twice_the_persons_cost_twice_as_much_except_for_hourly_prices() -> None:
    one, two = month(Figures(1000)), month(Figures(2000))
    for before, after in zip(one, two, strict=True):
        if not before.always and before.name not in ("Metrics", "Inventory: re-checked"):
            assert after.dollars == pytest.approx(2 * before.dollars), before.name


@pytest.mark.parametrize(
    "more",
    [
        Figures(1000, assets=6),
        Figures(1000, megabytes=3),
        Figures(1000, page_requests=31),
        Figures(1000, webhooks=1),
        Figures(1000, months=13),
        Figures(1000, firewall=True),
        Figures(1000, alarm_email=True),
    ],
)
def test_every_figure_affects_the_cost(more: Figures) -> None:
    assert total(more) > total(Figures(1000)) + 1e-4


def test_the_cost_is_linear_between_and_beyond_the_measured_numbers_of_files() -> None:
    record = recorded()
    assert record.person(5).transitions == pytest.approx(record.persons[5].transitions)
    between = (record.persons[5].transitions + record.persons[10].transitions) / 2
    assert record.person(7.5).transitions == pytest.approx(between)
    assert record.person(100).log_bytes["submit_asset"] > 4 * record.person(20).log_bytes["submit_asset"]


def test_a_template_with_fewer_resources_costs_less() -> None:
    template = copy.deepcopy(TEMPLATE)
    del template["Resources"]["NobodyVerifiedAlarm"]
    template["Resources"]["Api"]["Properties"]["MethodSettings"] = []
    watched = (
        sum("MetricStat" in each for each in RESOURCES["NobodyVerifiedAlarm"]["Properties"].get("Metrics", [])) or 1
    )
    figures = Figures(1000)
    assert line("Alarms", figures) - line("Alarms", figures, template) == pytest.approx(0.1 * watched)
    assert line("Metrics", figures, template) < 5
