"""What can go wrong between us and a cluster, named by what the operator does about it. Each text says what that is."""

from collections.abc import Sequence

from ray_app.model.errors import NodeError


class KubeError(NodeError):
    """Several things at once, one line each."""

    def __init__(self, *problems: str) -> None:
        Exception.__init__(self, *problems)
        self.problems: Sequence[str] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Unreachable(KubeError):
    """No answer, or no right to ask: look at the kubeconfig, the network, the token."""


class Rejected(KubeError):
    """The cluster would not take the manifests, or they are not finished: mend them. Nothing was changed."""


class NotRunning(KubeError):
    """It was taken, and does not run: what stands in the way."""
