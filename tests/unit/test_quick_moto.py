"""moto answers the same whether it is quick or not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import quick_moto
from tests.aws import inventory, make_table, stream_records
from tests.functions import ACCOUNT, REGION

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
    """What becomes of one item, as its owner receives of it."""
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
    yield from _found(client)
    yield client.describe_table(TableName="table")["Table"]["KeySchema"]
    yield client.delete_item(TableName="table", Key=KEY, ReturnValues="ALL_OLD")


def _found(client: Any) -> Iterator[Any]:
    """Pages of queries, by the table's key and by an index, of which items have each attribute or not."""
    for partition, sort in itertools.product("qr", "cab"):
        listed = {"client_id": {"S": "list"}, "id": {"S": partition + sort}, "reference": {"S": "shown"}}
        client.put_item(TableName="table", Item={"pk": {"S": partition}, "sk": {"S": sort}, "n": {"N": "1"}} | listed)
    asked: dict[str, Any] = {"TableName": "table", "ExpressionAttributeValues": {":p": {"S": "q"}}}
    yield client.query(**asked, KeyConditionExpression="pk = :p", ScanIndexForward=False, ConsistentRead=True)
    for condition, sort in (("sk >= :s", "b"), ("begins_with(sk, :s)", "a"), ("sk = :s", "none")):
        values = {"ExpressionAttributeValues": {":p": {"S": "q"}, ":s": {"S": sort}}}
        yield client.query(**asked | values, KeyConditionExpression=f"pk = :p AND {condition}")
    asked |= {"IndexName": "ClientSessions", "ExpressionAttributeValues": {":p": {"S": "list"}}}
    asked |= {"KeyConditionExpression": "client_id = :p", "Limit": 4}
    first = client.query(**asked)
    yield first
    yield client.query(**asked, ExclusiveStartKey=first["LastEvaluatedKey"])
    yield _result_of(client.query, **asked, ConsistentRead=True)
    keys = [KEY, {"pk": {"S": "q"}, "sk": {"S": "a"}}, {"pk": {"S": "q"}, "sk": {"S": "none"}}]
    yield client.batch_get_item(RequestItems={"table": {"Keys": keys}})
    yield _result_of(client.put_item, TableName="table", Item=KEY | {"large": {"S": "x" * 410_000}})
    yield _result_of(client.get_item, TableName="nowhere", Key=KEY)


def _of_the_stream() -> Iterator[Any]:
    """A transaction that fails leaves no change behind; one that succeeds leaves all of them."""
    client = boto3.client("dynamodb")
    make_table("Table", "streamed", stream=True)
    put = {"Put": {"TableName": "streamed", "Item": KEY | {"n": {"N": "1"}}}}
    gone = {"Key": KEY | {"sk": {"S": "none"}}, "ConditionExpression": "attribute_exists(pk)"}
    yield _result_of(
        client.transact_write_items, TransactItems=[put, {"ConditionCheck": gone | {"TableName": "streamed"}}]
    )
    yield _result_of(client.transact_write_items, TransactItems=[put])
    yield _result_of(client.transact_write_items, TransactItems=[{"Delete": {"TableName": "streamed", "Key": KEY}}])
    for record in stream_records("streamed"):
        for name in ("ApproximateCreationDateTime", "SizeBytes"):  # the second counts the digits of the first
            del record["dynamodb"][name]
        del record["eventID"]
        yield record


def _of_others() -> Iterator[Any]:
    """The services that take JSON, with what they refuse."""
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    yield url
    yield queue.send_message(QueueUrl=url, MessageBody="a=1&b=<é>")["MD5OfMessageBody"]
    for each in queue.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]:
        yield each["Body"], each["Attributes"]
        queue.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    yield queue.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "QueueArn"])
    yield _result_of(queue.send_message, QueueUrl=f"{url}-other", MessageBody="x")
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="key", SecretString='{"a": "é"}')
    yield secrets.get_secret_value(SecretId="key")["SecretString"]
    yield _result_of(secrets.get_secret_value, SecretId="other")
    events = boto3.client("events")
    yield events.create_event_bus(Name="bus")
    yield _result_of(events.describe_event_bus, Name="other")
    machines = boto3.client("stepfunctions")
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:none"
    yield _result_of(machines.start_execution, stateMachineArn=arn, name="one", input="{}")
    yield machines.list_state_machines()


def _result_of(call: Any, **parameters: Any) -> Any:
    try:
        return call(**parameters)
    except ClientError as refused:
        return refused.response


def _all_answers() -> list[Any]:
    with inventory("table") as client:
        found = [*_answers(client), *_of_the_stream(), *_of_others()]
    for each in found:
        if isinstance(each, dict):
            each.pop("ResponseMetadata", None)
    return found


def test_a_quick_answer_is_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = _all_answers()
    for owner, name, plain in quick_moto.PLAIN:
        assert getattr(owner, name) != plain, f"{name} is the plain one already"
        monkeypatch.setattr(owner, name, plain)
    assert _all_answers() == quick
