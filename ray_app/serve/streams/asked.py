"""The messages of clients of a socket; these models read them, and the AsyncAPI document is made of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ray_app.serve.streams.messages import Cursor

Name = Annotated[str, Field(max_length=100)]
MOST_SYMBOLS = 250  # of one message


class Said(BaseModel):
    """A message of a client's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=100)] | Annotated[int, Field(ge=-(2**53), le=2**53)] | None = Field(
        None, description="told again in the answer"
    )


class Auth(Said):
    """The first message where no Authorization header can be sent, within 5 seconds."""

    action: Literal["auth"]
    api_key: str = Field(max_length=200)


class Subscribe(Said):
    """From now on events of these symbols too; without symbols: of all."""

    action: Literal["subscribe"]
    symbols: list[Name] | None = Field(None, max_length=MOST_SYMBOLS, examples=[["BTC", "ETH"]])
    channels: list[Name] | None = Field(None, max_length=10, description="`ticks`: the exchange's prices too")
    fields: list[Name] | None = Field(
        None, max_length=20, description="of `data`, only these; for the whole connection"
    )
    after: Cursor | None = Field(
        None, description="first what came after this cursor; only before other events"
    )
    batch: bool | None = Field(
        None, description="several messages in a frame, as a JSON list; for the whole connection"
    )


class Unsubscribe(Said):
    """No more events of these symbols, or no more ticks; with neither: no more events."""

    action: Literal["unsubscribe"]
    symbols: list[Name] | None = Field(None, max_length=MOST_SYMBOLS)
    channels: list[Name] | None = Field(None, max_length=10)


class Ping(Said):
    """Answered by an ack."""

    action: Literal["ping"]


ClientMessage = Auth | Subscribe | Unsubscribe | Ping
CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="action")])
