"""How a node is asked by GraphQL, and what it asks of its database meanwhile."""

from typing import Any

from tests.serve.conftest import Running


async def ask(node: Running, query: str, status: int = 200, /, **variables: Any) -> Any:
    """The body; fails with it when the status is another."""
    answer = await node.http.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == status, answer.text
    return answer.json()


async def data(node: Running, query: str, /, **variables: Any) -> Any:
    """The data of an answer without errors."""
    body = await ask(node, query, **variables)
    assert "errors" not in body, body["errors"]
    return body["data"]
