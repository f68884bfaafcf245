"""The bench computes sizes and capacity units by the rules of DynamoDB's developer guide."""

from __future__ import annotations

from typing import Any

import pytest

from bench.checked.capacity import index_units, size
from likeness.adapters.table.items import session_item
from likeness.domain.session import Language, Session, SessionStatus


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"name": {"S": "Zoë"}}, 4 + 4),
        ({"n": {"N": "1800000000.5"}}, 1 + 6 + 1),
        ({"n": {"N": "100"}}, 1 + 1 + 1),
        ({"yes": {"BOOL": True}, "no": {"NULL": True}}, 3 + 1 + 2 + 1),
        ({"m": {"M": {"a": {"S": "b"}}}}, 1 + 3 + 1 + 1 + 1),
        ({"l": {"L": [{"S": "b"}]}}, 1 + 3 + 1 + 1),
    ],
)
def test_the_size_of_an_item_is_that_of_its_names_and_values(item: dict[str, Any], expected: int) -> None:
    assert size(item) == expected


def test_an_index_is_written_when_a_projected_attribute_changes() -> None:
    session = Session("ses_1", "acme", SessionStatus.PROCESSING, Language.EN, 1.0, 1.0)
    before = session_item(session)
    assert index_units({}, before) == 3, "two indexes of the client, and the index of due sessions"
    assert index_units(before, before | {"status": {"S": "verified"}}) == 2
    assert index_units(before, before | {"driver": {"S": "an execution"}}) == 0
