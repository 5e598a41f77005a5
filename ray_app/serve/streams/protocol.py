"""The messages of graphql-transport-ws, as its public description has them; the AsyncAPI document is made of these."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ray_app.serve.graphql.request import Body

PROTOCOL = "graphql-transport-ws"
MOST_OPERATIONS = 20  # subscriptions open at once on one socket
Id = Annotated[
    str, Field(min_length=1, max_length=100, description="of the subscription, as the client names it")
]
Payload = Annotated[dict[str, Any] | None, Field(description="whatever the other side may want to know")]


class Spoken(BaseModel):
    """A message. What the protocol does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ConnectionInit(Spoken):
    """The first message. Without an Authorization header its payload says who it is, within 5 seconds."""

    type: Literal["connection_init"]
    payload: Payload = Field(None, examples=[{"Authorization": "Bearer cdk_…"}])


class Ping(Spoken):
    """Answered by a pong; each side may send it at any time."""

    type: Literal["ping"]
    payload: Payload = None


class Pong(Spoken):
    """The answer to a ping, with its payload."""

    type: Literal["pong"]
    payload: Payload = None


class Subscribe(Spoken):
    """Begin a subscription; several may be open at once."""

    type: Literal["subscribe"]
    id: Id
    payload: Body = Field(description="as the body of POST /graphql")


class Complete(Spoken):
    """No more events of this subscription. Only clients send it: the streams never end."""

    type: Literal["complete"]
    id: Id


class ConnectionAck(Spoken):
    """The key is good; subscriptions may begin."""

    type: Literal["connection_ack"]


class Next(Spoken):
    """An event of a subscription, cut by its selection. An event of which nothing is selected is not sent."""

    type: Literal["next"]
    id: Id
    payload: dict[str, Any]


class Error(Spoken):
    """The subscription was refused, or cannot go on; nothing more comes of it. `extensions.code` is one of ours."""

    type: Literal["error"]
    id: Id
    payload: list[dict[str, Any]]


ClientMessage = ConnectionInit | Ping | Pong | Subscribe | Complete
ServerMessage = ConnectionAck | Ping | Pong | Next | Error
CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])
