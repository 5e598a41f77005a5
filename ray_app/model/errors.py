"""What can go wrong, named by what we do about it.

    NodeError
    ├── UpstreamError
    │   ├── Transient        wait, then try again
    │   │   └── RateLimited  wait as long as the source asked
    │   ├── Refused          stop this source and tell a human (bad key, blocked, plan too small)
    │   │   └── Unpaid       stop until the month or the budget is another one, or somebody has paid
    │   ├── NotOffered       skip the partition (delisted symbol, series without history)
    │   └── Malformed        leave the slice open and tell a human (the source changed its format)
    └── StoreError
        ├── StoreUnavailable keep what we have and try again (database down, full or locked)
        ├── Fenced           stop at once: somebody else owns this shard now
        └── WrongStore       refuse to start (other shape, simulated data in a real store)

Every argument goes to Exception.__init__: these cross Ray processes, and pickle rebuilds an
exception from its args.
"""


class NodeError(Exception):
    """Anything this node raises on purpose."""


class UpstreamError(NodeError):
    def __init__(self, source: str, detail: str = "") -> None:
        Exception.__init__(self, source, detail)
        self.source, self.detail = source, detail

    def __str__(self) -> str:
        return f"{self.source}: {self.detail}" if self.detail else self.source


class Transient(UpstreamError): ...


class RateLimited(Transient):
    """The source asked for a pause. `retry_after` is in seconds, None when it did not say."""

    def __init__(self, source: str, detail: str = "rate limited", retry_after: float | None = None) -> None:
        Exception.__init__(self, source, detail, retry_after)
        self.source, self.detail, self.retry_after = source, detail, retry_after


class Refused(UpstreamError): ...


class Unpaid(Refused): ...


class NotOffered(UpstreamError): ...


class Malformed(UpstreamError): ...


class StoreError(NodeError):
    def __init__(self, detail: str) -> None:
        Exception.__init__(self, detail)
        self.detail = detail


class StoreUnavailable(StoreError): ...


class Fenced(StoreError): ...


class WrongStore(StoreError): ...
