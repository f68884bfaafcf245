"""moto's DynamoDB in less time, and one write after the other: the same answers from the same code.

moto copies items down to the last scalar and, for a transaction, whole tables; it sizes every attribute of an item for
each attribute that is set, looks for a partition in all items of a table, and parses and copies the same expressions
several times for each request. A transaction that fails puts back the tables that it copied at its start: without
turns it would undo what other threads wrote meanwhile, which DynamoDB never does.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from moto.dynamodb import responses
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models import DynamoDBBackend, utilities
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, expressions

# These come without types.
_UpdateParser: Any = vars(expressions)["UpdateExpressionParser"]
_Node: Any = vars(ast_nodes)["Node"]
_Traverser: Any = vars(ast_nodes)["DepthFirstTraverser"]
_WITH_CLAUSES: Any = (vars(ast_nodes)["Expression"], vars(ast_nodes)["UpdateExpressionFunction"])

_equal, _hash = DynamoType.__eq__, DynamoType.__hash__
_to_plain = utilities.dynamo_to_dict
_parse, _query = ConditionExpressionParser.parse, Table.query
_transact = DynamoDBBackend.transact_write_items
_WRITES = ("put_item", "update_item", "delete_item")

#: The largest item that moto takes, in bytes.
_MAX_BYTES = 405_000


# -- values and items ---------------------------------------------------------------------------------------------


def _quick_copy(self: DynamoType, memo: dict[int, Any]) -> DynamoType:
    """Lists, maps and sets are changed in place; scalars never, so that two items may share them."""
    if self.type == "L":
        value: Any = [_quick_copy(each, memo) for each in self.value]
    elif self.type == "M":
        value = {name: _quick_copy(each, memo) for name, each in self.value.items()}
    elif self.type in ("SS", "NS", "BS"):
        value = list(self.value)
    else:
        return self
    made = DynamoType.__new__(DynamoType)
    made.type, made.value = self.type, value
    return made


def _quick_equal(self: DynamoType, other: DynamoType) -> bool:
    if self.type == "S" == other.type:
        return bool(self.value == other.value)
    return _equal(self, other)


def _quick_unequal(self: DynamoType, other: DynamoType) -> bool:
    return not _quick_equal(self, other)


def _quick_hash(self: DynamoType) -> int:
    return hash(("S", self.value)) if self.type == "S" else _hash(self)


def _quick_plain(obj: Any) -> Any:
    """A scalar is what it is."""
    if type(obj) is DynamoType and obj.type in ("S", "N", "BOOL", "NULL"):
        return {obj.type: obj.value}
    return obj if type(obj) is str else _to_plain(obj)


def _quick_item(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    """An item's size is measured once, when all attributes are there."""
    self.hash_key, self.range_key, self.attrs = hash_key, range_key, LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(self.attrs, name, DynamoType(value))
    if self.size() > _MAX_BYTES:
        raise ItemSizeTooLarge


# -- writes -------------------------------------------------------------------------------------------------------

_turn = threading.RLock()


def _in_turn(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def written(*args: Any, **options: Any) -> Any:
        with _turn:
            return write(*args, **options)

    return written


# -- tables -------------------------------------------------------------------------------------------------------

#: The keys that a transaction writes to or reads, by table.
_touched: ContextVar[Mapping[str, list[dict[str, Any]]] | None] = ContextVar("touched", default=None)


def _quick_transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Lets the copies of the tables that moto makes for a rollback know what they are for."""
    keys: dict[str, list[dict[str, Any]]] = {}
    for each in transact_items:
        (write,) = list(each.values())[:1]
        keys.setdefault(write["TableName"], []).append(write.get("Key") or write["Item"])
    token = _touched.set(keys)
    try:
        _transact(self, transact_items)
    finally:
        _touched.reset(token)


def _quick_copy_of_table(self: Table, memo: dict[int, Any]) -> Any:
    """Returns a copy that stays as it is while a transaction writes; outside of one, a copy of everything.

    A transaction changes nothing but the items under its keys, so the copy shares all others with the table.
    """
    made: Any = Table.__new__(Table)
    touched = _touched.get()
    if touched is None:
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made
    vars(made).update(vars(self))
    made.items = copy.copy(self.items)
    for key in touched[self.name]:
        partition = DynamoType(key[self.hash_key_attr])
        if partition not in self.items:
            continue
        if self.range_key_attr is None:
            made.items[partition] = copy.deepcopy(self.items[partition], memo)
            continue
        if made.items[partition] is self.items[partition]:
            made.items[partition] = dict(self.items[partition])
        at = DynamoType(key[self.range_key_attr])
        if at in self.items[partition]:
            made.items[partition][at] = copy.deepcopy(self.items[partition][at], memo)
    if self.stream_shard is not None:
        made.stream_shard = copy.copy(self.stream_shard)
        made.stream_shard.table, made.stream_shard.items = made, list(self.stream_shard.items)
    return made


def _quick_query(self: Table, hash_key: Any, *args: Any, **options: Any) -> Any:
    """Returns what is found in the one partition that the query is about; an index may find it anywhere."""
    index = options.get("index_name", args[6] if len(args) > 6 else None)
    if self.range_key_attr is None or hash_key is None or index:
        return _query(self, hash_key, *args, **options)
    view = copy.copy(self)
    view.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}  # type: ignore[assignment]
    return _query(view, hash_key, *args, **options)


# -- expressions --------------------------------------------------------------------------------------------------


def _quick_copy_of_node(self: Any, memo: dict[int, Any]) -> Any:
    """A node has a type, a parent and children, which are nodes or values that nobody changes."""
    made = _Node.__new__(type(self))
    vars(made).update(vars(self))
    made.parent = None
    if self.children is not None:
        made.children = [_quick_copy_of_node(each, memo) if isinstance(each, _Node) else each for each in self.children]
        for each in made.children:
            if isinstance(each, _Node):
                each.parent = made
    return made


@functools.cache
def _is_a(kind: Any, kinds: Any) -> bool:
    return issubclass(kind, kinds)


def _quick_traverse(self: Any, node: Any) -> Any:
    """Asks a processor once which kinds of nodes it is for, not at each node."""
    return _traversed(self, node, -1, self._processing_map(), self.nodes_to_be_processed())


def _traversed(self: Any, node: Any, index: int, processors: Any, kinds: Any) -> Any:
    kind: Any = type(node)
    if not _is_a(kind, _Node):
        return node
    parent = node.parent
    if node.children is not None:
        for at, child in enumerate(node.children):
            self.pre_processing_of_child(node, at)
            _traversed(self, child, at, processors, kinds)
    if _is_a(kind, kinds):
        node = next(process(node) for each, process in processors.items() if _is_a(kind, each))
        node.parent = parent
        if parent:
            parent.children[index] = node
    return node


def _quick_find(self: Any, clause_types: Any) -> list[Any]:
    found: list[Any] = []
    for child in self.children or ():
        kind: Any = type(child)
        if kind in clause_types:
            found.append(child)
        elif _is_a(kind, _WITH_CLAUSES):
            found += _quick_find(child, clause_types)
    return found


#: What conditions were parsed to, with the names and values that they use: a request parses each up to three times.
_conditions: dict[tuple[Any, str, str], tuple[Any, list[str], list[str]]] = {}


def _quick_parse(self: ConditionExpressionParser) -> Any:
    names, values = self.expression_attribute_names, self.expression_attribute_values
    asked = (self.condition_expression, repr(names), repr(values))
    if asked not in _conditions:
        if len(_conditions) > 1000:
            _conditions.clear()
        _conditions[asked] = _parse(self), self.expr_attr_names_found, self.expr_attr_values_found
    condition, found_names, found_values = _conditions[asked]
    self.expr_attr_names_found, self.expr_attr_values_found = list(found_names), list(found_values)
    return condition


#: Where something is done, under which name, and how quickly.
QUICK: tuple[tuple[Any, str, Any], ...] = (
    (DynamoType, "__deepcopy__", _quick_copy),
    (DynamoType, "__eq__", _quick_equal),
    (DynamoType, "__ne__", _quick_unequal),
    (DynamoType, "__hash__", _quick_hash),
    (utilities, "dynamo_to_dict", _quick_plain),
    (responses, "dynamo_to_dict", _quick_plain),
    (Item, "__init__", _quick_item),
    (DynamoDBBackend, "transact_write_items", _in_turn(_quick_transact)),
    *((DynamoDBBackend, name, _in_turn(getattr(DynamoDBBackend, name))) for name in _WRITES),
    (Table, "__deepcopy__", _quick_copy_of_table),
    (Table, "query", _quick_query),
    (_Node, "__deepcopy__", _quick_copy_of_node),
    (_Node, "find_clauses", _quick_find),
    (_Traverser, "traverse", _quick_traverse),
    (ConditionExpressionParser, "parse", _quick_parse),
    # Who changes what was parsed changes a copy of it.
    (_UpdateParser, "make", staticmethod(functools.cache(_UpdateParser.make))),
)
