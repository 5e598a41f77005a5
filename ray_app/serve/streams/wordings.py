"""How clients word their subscriptions: events cut by a selection of GraphQL, once for all who word it alike.

Running a selection takes some hundred microseconds, so what was made of an event is kept, and how many wordings are in
use at once is bounded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    Visitor,
    execute,
    print_ast,
    visit,
)
from graphql.execution.values import get_argument_values

from ray_app.observe.log import logger
from ray_app.serve.graphql.cost import check_cost
from ray_app.serve.graphql.request import Body, prepared
from ray_app.serve.problems import Problem, invalid, unavailable
from ray_app.serve.streams.declared import STREAMS, Stream
from ray_app.serve.streams.items import Item
from ray_app.serve.wire import dumps

log = logger("streams")
KEPT = 512  # of the newest events, what was made of them
OF_A_KEY, MOST = 8, 32  # wordings in use at once, on one replica


class Wanted:
    """A subscription that is valid and not too costly: the stream, the arguments, the wording.

    Raises Problem, Refused. Takes milliseconds: made in a thread.
    """

    def __init__(self, body: Body) -> None:
        known, document, operation, variables = prepared(body)
        if operation.operation is not OperationType.SUBSCRIPTION:
            raise invalid("subscriptions are told here; POST /graphql answers queries")
        check_cost(known, document, operation, variables)
        root = _root(operation.selection_set, document)
        if root is None:
            raise invalid("the subscription names no stream")
        declared = known.subscription_type
        assert declared is not None
        self.stream: Stream = STREAMS[root.name.value]
        self.arguments: Mapping[str, Any] = get_argument_values(
            declared.fields[root.name.value], root, variables
        )
        bare, names = _bare(document, operation)
        given = {name: value for name, value in (body.variables or {}).items() if name in names}
        self.wording = Wording(known, bare, given)


class Wording:
    """One selection. Equal are those that cut alike, whatever symbols and cursors they came with."""

    def __init__(self, known: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._known, self._document, self._variables = known, document, dict(variables)
        self.text = print_ast(document) + dumps(self._variables).decode()
        self._made: dict[tuple[Item, bool], str | None] = {}

    def of_item(self, item: Item, *, internal: bool) -> str | None:
        if item.type == "delete":  # of a text that is gone nothing stays in memory
            self._made = {place: made for place, made in self._made.items() if place[0].about != item.about}
        place = (item, internal)
        if place not in self._made:
            body = item.whole if internal else item.open_
            event = None if body is None else {"type": item.type, **body, "cursor": item.number}
            while len(self._made) >= KEPT:
                del self._made[next(iter(self._made))]
            self._made[place] = None if event is None else self.of_message(event)
        return self._made[place]

    def of_message(self, message: Mapping[str, Any]) -> str | None:
        made = execute(self._known, self._document, message, None, self._variables)
        assert isinstance(made, ExecutionResult)  # no field of an event waits for anything
        if made.errors:  # ours: others are told their own events all the same
            log.error("a %s cannot be told: %s", message["type"], made.errors[0], exc_info=made.errors[0])
            errors = [{"message": "this event cannot be told", "extensions": {"code": "INTERNAL_ERROR"}}]
            return dumps({"data": made.data, "errors": errors}).decode()
        told = next(iter((made.data or {}).values()), None)
        return dumps({"data": made.data}).decode() if told else None


class Wordings:
    """Those in use on this replica."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Wording, Counter[str]]] = {}

    @contextmanager
    def use(self, wanted: Wording, key_id: str) -> Iterator[Wording]:
        """The one of the same text that is in use already, or this. Raises Problem when there are too many."""
        known = self._known.get(wanted.text)
        if known is None or key_id not in known[1]:
            mine = sum(1 for _, keys in self._known.values() if key_id in keys)
            if mine >= OF_A_KEY:
                raise Problem(
                    "RATE_LIMIT_EXCEEDED",
                    f"this key has {OF_A_KEY} different selections in use here; word your subscriptions alike",
                    {"limit": "selections", "selections": OF_A_KEY},
                )
            if known is None and len(self._known) >= MOST:
                raise unavailable("too many different selections are in use here; try again", ["selections"])
        wording, keys = self._known.setdefault(wanted.text, (wanted, Counter()))
        keys[key_id] += 1
        try:
            yield wording
        finally:
            keys[key_id] -= 1
            keys += Counter()  # drops what is down to nothing
            if not keys:
                del self._known[wanted.text]


def _root(selections: SelectionSetNode, document: DocumentNode) -> FieldNode | None:
    """The one field of a subscription, through fragments; validation has seen that there is one."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    for one in selections.selections:
        match one:
            case FieldNode():
                return one
            case InlineFragmentNode():
                inner = one.selection_set
            case FragmentSpreadNode():
                inner = fragments[one.name.value].selection_set
            case _:
                continue
        if (found := _root(inner, document)) is not None:
            return found
    return None


class _WithoutArguments(Visitor):
    """Only the field of the stream has arguments, and they do not change how an event is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        return replace(node, arguments=()) if node.arguments else None

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.variables.add(node.name.value)


def _bare(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[DocumentNode, set[str]]:
    """The operation and its fragments without arguments, and the variables that are still used."""
    fragments = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
    visitor = _WithoutArguments()
    nameless = replace(operation, name=None, variable_definitions=())
    bare = visit(DocumentNode(definitions=(nameless, *fragments)), visitor)
    used = tuple(
        one for one in operation.variable_definitions or () if one.variable.name.value in visitor.variables
    )
    first, *others = bare.definitions
    return DocumentNode(definitions=(replace(first, variable_definitions=used), *others)), visitor.variables
