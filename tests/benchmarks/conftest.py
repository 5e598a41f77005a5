"""The node that the tests of the benchmarks ask."""

from tests.serve.conftest import start, store
from tests.serve.graphql.conftest import full

__all__ = ["full", "start", "store"]
