"""What is checked of a query before anything runs: its shape, then what it would cost.

The shape comes before the rules of GraphQL: some of these take the square of what is written, or follow fragments.
cost = values that would be told (points x fields x assets), and what reading and working out weighs besides.
Lists count as long as their arguments allow, or as their kind usually is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    parse,
)
from graphql.execution.values import VariableValues, get_argument_values
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef, TypeNameMetaFieldDef

from ray_app.serve.graphql.rows import Weight
from ray_app.serve.problems import Problem, invalid

MOST_DEPTH, MOST_ALIASES = 10, 30
MOST_TOKENS = 4_000
MOST_SELECTIONS = 300  # as written: comparing them with each other takes the square
MOST_NESTED = 10  # fragments in fragments
MOST_COST = 50_000  # values; a quarter of a second of the event loop at worst
META = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef, "__typename": TypeNameMetaFieldDef}
OF_SCHEMA = {
    "fields": 5,
    "directives": 6,
}  # how long, on average; a test asks the usual question about all of it
Definition = "strawberry-definition"


@dataclass(frozen=True, slots=True)
class Shape:
    """`depth`: fields in fields; `nested`: fragments in fragments; `aliases`: with those in fragments."""

    depth: int = 0
    nested: int = 0
    aliases: int = 0

    def beside(self, other: "Shape") -> "Shape":
        return Shape(
            max(self.depth, other.depth), max(self.nested, other.nested), self.aliases + other.aliases
        )


def parsed(query: str) -> DocumentNode:
    """The query as a document of bounded size. Raises Problem, GraphQLError for what is no GraphQL."""
    try:
        document = parse(query, max_tokens=MOST_TOKENS, max_lexical_tokens=2 * MOST_TOKENS)
    except GraphQLError as error:
        if "tokens" in error.message:
            raise costly("tokens", MOST_TOKENS, None) from None
        raise
    fragments: dict[str, FragmentDefinitionNode] = {}
    written = 0
    for one in document.definitions:
        if isinstance(one, FragmentDefinitionNode):
            fragments[one.name.value] = one
        if isinstance(one, OperationDefinitionNode | FragmentDefinitionNode):
            written += sum(1 for _ in _written(one.selection_set))
    if written > MOST_SELECTIONS:
        raise costly("selections", MOST_SELECTIONS, written)
    known: dict[str, Shape | None] = {}
    for one in document.definitions:
        if not isinstance(one, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        shape = _shape(one.selection_set, fragments, known)
        operation = isinstance(one, OperationDefinitionNode)
        for limit, most, found in (
            ("depth", MOST_DEPTH, shape.depth if operation else 0),  # of a fragment, where it is used
            ("aliases", MOST_ALIASES, shape.aliases),
            ("nested fragments", MOST_NESTED, shape.nested),
        ):
            if found > most:
                raise costly(limit, most, found)
    return document


def _written(selections: SelectionSetNode | None) -> Iterator[Any]:
    waiting = [selections]
    while waiting:
        for one in found.selections if (found := waiting.pop()) is not None else ():
            yield one
            if isinstance(one, FieldNode | InlineFragmentNode):
                waiting.append(one.selection_set)


def _shape(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Shape | None],
) -> Shape:
    """`known`: of fragments; None while one is looked at. Raises Problem for one that holds itself."""
    out = Shape()
    for one in selections.selections if selections is not None else ():
        match one:
            case FieldNode():
                inner = _shape(one.selection_set, fragments, known)
                asks_schema = one.name.value in ("__schema", "__type")  # has rules and weights of its own
                depth = 1 if asks_schema else inner.depth + 1
                out = out.beside(Shape(depth, inner.nested, inner.aliases + (one.alias is not None)))
            case InlineFragmentNode():
                out = out.beside(_shape(one.selection_set, fragments, known))
            case FragmentSpreadNode():
                name = one.name.value
                if name not in known:
                    known[name] = None
                    fragment = fragments.get(name)
                    inner = _shape(fragment.selection_set if fragment else None, fragments, known)
                    known[name] = Shape(inner.depth, inner.nested + 1, inner.aliases)
                    if inner.nested >= MOST_NESTED:
                        raise costly("nested fragments", MOST_NESTED, inner.nested + 1)
                found = known[name]
                if found is None:
                    raise invalid(f"the fragment {name[:64]!r} holds itself", fragment=name[:64])
                out = out.beside(found)
    return out


def check_cost(
    core: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: VariableValues,
) -> int:
    """The cost of a valid query. Raises Problem QUERY_TOO_COSTLY with it where it is too high."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    weighing = _Weighing(core, fragments, variables)
    root = core.get_root_type(operation.operation)
    assert root is not None
    cost = weighing.of(operation.selection_set, root)
    if cost > MOST_COST:
        raise costly("cost", MOST_COST, cost)
    return cost


class _Weighing:
    def __init__(
        self,
        core: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self._core, self._fragments, self._variables = core, fragments, variables
        self._known: dict[tuple[str, str], int] = {}  # of a fragment, in a type

    def of(self, selections: SelectionSetNode | None, parent: GraphQLNamedType) -> int:
        """What one value of the type costs."""
        out = 0
        for one in selections.selections if selections is not None else ():
            match one:
                case FieldNode():
                    out += self._field(one, parent)
                case InlineFragmentNode():
                    out += self.of(one.selection_set, self._named(one.type_condition, parent))
                case FragmentSpreadNode():
                    place = (one.name.value, parent.name)
                    if place not in self._known:
                        fragment = self._fragments[place[0]]
                        kind = self._named(fragment.type_condition, parent)
                        self._known[place] = self.of(fragment.selection_set, kind)
                    out += self._known[place]
        return out

    def _named(self, condition: NamedTypeNode | None, parent: GraphQLNamedType) -> GraphQLNamedType:
        """The type that a fragment is for: of a union each member is weighed, though only one is told."""
        return parent if condition is None else self._core.type_map[condition.name.value]

    def _field(self, node: FieldNode, parent: GraphQLNamedType) -> int:
        name = node.name.value
        field = META.get(name) or (parent.fields.get(name) if isinstance(parent, GraphQLObjectType) else None)
        if field is None:
            return 1
        size, counts = self._weights(node, field, parent)
        return 1 + counts + size * self.of(node.selection_set, get_named_type(field.type))

    def _weights(self, node: FieldNode, field: GraphQLField, parent: GraphQLNamedType) -> tuple[int, int]:
        """How many values a field tells, and what else it weighs."""
        if parent.name.startswith("__"):
            whole = node.name.value == "types"
            return len(self._core.type_map) if whole else OF_SCHEMA.get(node.name.value, 1), 0
        said = getattr((field.extensions or {}).get(Definition), "metadata", {})
        if not said:
            return 1, 0
        arguments: dict[str, Any] = get_argument_values(field, node, self._variables)
        return _number(said.get("size", 1), arguments), _number(said.get("counts", 0), arguments)


def _number(weight: Weight, arguments: Mapping[str, Any]) -> int:
    return max(0, weight if isinstance(weight, int) else weight(arguments))


def costly(limit: str, most: int, cost: int | None) -> Problem:
    found = "more" if cost is None else f"{cost:,}"
    return Problem(
        "QUERY_TOO_COSTLY",
        f"the limit `{limit}` of a query is {most:,}, and this has {found}: ask for less at once",
        {"limit": limit, "most": most, "cost": cost},
    )
