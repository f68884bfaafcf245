"""moto answers the same whether it is quick or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import quick_moto
from tests.aws import inventory

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
#: Every kind of value, and kinds within kinds.
ITEM: dict[str, Any] = KEY | {
    "text": {"S": "words"},
    "empty": {"S": ""},
    "number": {"N": "12.5"},
    "bytes": {"B": b"\0\1\2"},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "nothing": {"NULL": True},
    "words": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "blobs": {"BS": [b"a", b"b"]},
    "list": {"L": [{"N": "1"}, {"L": [{"S": "deep"}]}, {"M": {"s": {"SS": ["x"]}}}]},
    "map": {"M": {"S": {"S": "a name like a kind's"}, "inner": {"M": {"n": {"N": "0"}}}, "gone": {"NULL": True}}},
}
UPDATES: tuple[tuple[str, dict[str, str], dict[str, Any]], ...] = (
    ("SET #l[0] = :n, #m.#i.n = :n", {"#l": "list", "#m": "map", "#i": "inner"}, {":n": {"N": "7"}}),
    ("SET #l = list_append(#l, :more)", {"#l": "list"}, {":more": {"L": [{"S": "last"}]}}),
    ("ADD words :s, #n :n", {"#n": "number"}, {":s": {"SS": ["c"]}, ":n": {"N": "1"}}),
    ("DELETE words :s REMOVE #m.gone, yes", {"#m": "map"}, {":s": {"SS": ["a"]}}),
    ("SET #m.#i.n = #m.#i.n + :n", {"#m": "map", "#i": "inner"}, {":n": {"N": "7"}}),
    ("SET #m.#i.n = #m.#i.n + :n", {"#m": "map", "#i": "inner"}, {":n": {"N": "7"}}),
    ("SET nowhere.deep = :n", {}, {":n": {"N": "7"}}),
    ("SET this is no expression", {}, {}),
)


def _update(expression: str, names: dict[str, str], values: dict[str, Any], **more: Any) -> dict[str, Any]:
    update = {"TableName": "table", "Key": KEY, "UpdateExpression": expression, **more}
    return update | ({"ExpressionAttributeNames": names} if names else {}) | {"ExpressionAttributeValues": values}


def _answers(client: Any) -> Iterator[Any]:
    """What becomes of one item, as its owner hears of it."""
    yield client.put_item(TableName="table", Item=ITEM)
    for update in UPDATES:
        for kind in ("ALL_OLD", "UPDATED_NEW"):
            yield _result_of(client.update_item, **_update(*update, ReturnValues=kind))
        yield client.get_item(TableName="table", Key=KEY)
    # The first of the two writes has happened when the second fails, in the items and within their values.
    yield client.put_item(TableName="table", Item=ITEM)
    for update in UPDATES[:5]:
        refused = {
            "TableName": "table",
            "Key": KEY | {"sk": {"S": "other"}},
            "ConditionExpression": "attribute_exists(pk)",
        }
        items = [{"Update": _update(*update)}, {"ConditionCheck": refused}]
        yield _result_of(client.transact_write_items, TransactItems=items)
        yield client.get_item(TableName="table", Key=KEY)
    yield _result_of(client.transact_write_items, TransactItems=[{"Update": _update(*UPDATES[1])}])
    old = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    yield _result_of(client.put_item, TableName="table", Item=ITEM, **old)
    yield client.query(
        TableName="table", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}}
    )
    yield client.scan(TableName="table")
    yield client.describe_table(TableName="table")["Table"]["KeySchema"]
    yield client.delete_item(TableName="table", Key=KEY, ReturnValues="ALL_OLD")


def _result_of(call: Any, **parameters: Any) -> Any:
    try:
        return call(**parameters)
    except ClientError as refused:
        return refused.response


def _all_answers() -> list[Any]:
    with inventory("table") as client:
        found = list(_answers(client))
    for each in found:
        if isinstance(each, dict):
            each.pop("ResponseMetadata")
    return found


def test_a_quick_answer_is_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = _all_answers()
    for owner, name, plain in quick_moto.PLAIN:
        assert getattr(owner, name) != plain, f"{name} is quick, where it was not asked to be otherwise"
        monkeypatch.setattr(owner, name, plain)
    assert _all_answers() == quick
