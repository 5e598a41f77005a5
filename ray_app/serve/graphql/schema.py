"""The schema, and what runs a query against it."""

import sys
from functools import cache

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from ray_app.serve.graphql.events import CURSOR, Cursor, Subscription
from ray_app.serve.graphql.fields_market import MarketFields
from ray_app.serve.graphql.fields_series import SeriesFields
from ray_app.serve.graphql.fields_texts import TextFields
from ray_app.serve.graphql.rows import NUMBER, TIME, Number, Time, read


@strawberry.type
class Query(MarketFields, TextFields, SeriesFields):
    """What can be asked."""


@cache
def schema() -> strawberry.Schema:
    """Made once, with the first request."""
    config = StrawberryConfig(default_resolver=read, scalar_map={Time: TIME, Number: NUMBER, Cursor: CURSOR})
    return strawberry.Schema(Query, subscription=Subscription, config=config)


@cache
def sdl() -> str:
    """The schema as a document."""
    return schema().as_str() + "\n"


def core() -> GraphQLSchema:
    """As the library below knows it: our own checks stand between validating and running."""
    return schema()._schema


if __name__ == "__main__":
    sys.stdout.write(sdl())
