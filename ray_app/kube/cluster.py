"""A thin client: get, list, apply on the server, delete; errors say what to do. lightkube does the talking."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info
from lightkube.types import PatchType

from ray_app.kube.errors import KubeError, Rejected, Unreachable
from ray_app.kube.objects import KINDS, OPERATORS, Key, Object, key_of

MANAGER = "crypto-data"  # whose fields they are that we apply
Answer = TypeVar("Answer")


class Missing(KubeError):
    """The cluster does not know this kind of object."""


@cache
def resource(api_version: str, kind: str) -> Any:
    """lightkube's class for a kind, its objects as dictionaries."""
    plural, namespaced = KINDS[api_version, kind]
    group, _, version = api_version.rpartition("/")
    base = GenericNamespacedResource if namespaced else GenericGlobalResource
    return type(kind, (base,), {"_api_info": create_api_info(group, version, kind, plural)})


class Cluster:
    """One cluster, through one kubeconfig context."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # A field that the server does not know is an error, not a warning. lightkube has no argument for it.
        http = client._client._client
        http.params = http.params.merge({"fieldValidation": "Strict"})

    @classmethod
    def connect(cls, context: str | None = None) -> "Cluster":
        """By KUBECONFIG, ~/.kube/config or the account of the pod that this runs in. Raises Unreachable."""
        try:
            config = KubeConfig.from_env()
            return cls(
                Client(config.get(context_name=context) if context else config.get(), field_manager=MANAGER)
            )
        except (ConfigError, OSError, KeyError) as error:
            named = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config"))
            raise Unreachable(f"no cluster in {named}: {error}; set KUBECONFIG or --context") from None

    def close(self) -> None:
        self._client.close()

    def get(self, key: Key) -> Object | None:
        """The object; None where it is not there. Raises KubeError."""
        try:
            found = _said(key, lambda: self._client.get(
                resource(key.api_version, key.kind), key.name, namespace=key.namespace or None))  # fmt: skip
        except NotFound:
            return None
        return dict(found)

    def list(
        self, api_version: str, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """All objects of a kind, over as many pages as they take. Raises KubeError."""
        res, key = resource(api_version, kind), Key(api_version, kind, namespace, "*")
        options: dict[str, Any] = {"labels": dict(labels) if labels else None, "chunk_size": 500}
        if namespace:
            options["namespace"] = namespace
        return [dict(one) for one in _said(key, lambda: [*self._client.list(res, **options)])]

    def apply(self, one: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """Server-side apply: our fields become what they are here. Raises Rejected, Unreachable."""
        key = key_of(one)

        def send() -> Any:
            return self._client.patch(
                resource(key.api_version, key.kind),
                key.name,
                one,
                namespace=key.namespace or None,
                patch_type=PatchType.APPLY,
                field_manager=MANAGER,
                force=force,
                dry_run=dry_run,
            )

        return dict(_said(key, send))

    def delete(self, key: Key) -> None:
        """Gone, or it was not there. Raises KubeError."""
        try:
            _said(key, lambda: self._client.delete(
                resource(key.api_version, key.kind), key.name, namespace=key.namespace or None))  # fmt: skip
        except NotFound:
            return


class NotFound(KubeError):
    """There is no such object."""


def _said(key: Key, call: Callable[[], Answer]) -> Answer:
    """The answer, or the error as one that says what to do."""
    try:
        return call()
    except ApiError as error:
        raise _told(key, error) from None
    except httpx2.HTTPStatusError as error:
        code = error.response.status_code
        if code == 404:  # plain text: the path itself is unknown
            raise _unknown(key) from None
        raise Unreachable(f"{key}: the API server answers {code}; is that address one?") from None
    except httpx2.HTTPError as error:
        why = str(error) or type(error).__name__
        raise Unreachable(
            f"the API server does not answer ({why}): is the cluster up, and the kubeconfig for it?"
        ) from None


def _told(key: Key, error: ApiError) -> KubeError:
    status = error.status
    message, code = status.message or str(error), status.code
    if code == 401:
        return Unreachable(
            "the API server takes no token or certificate of yours: it has expired, or is another cluster's; "
            "log in again"
        )
    if code == 403:
        return Unreachable(f"{message}; apply as an administrator, or grant it (kuberay/base/access.yaml)")
    if code == 404:
        missing_namespace = key.namespace and f'namespaces "{key.namespace}"' in message
        if missing_namespace:
            return Missing(f"{key}: there is no namespace {key.namespace}")
        return NotFound(message) if status.details and status.details.name else _unknown(key)
    if code == 409 and status.details and status.details.causes:
        fields = ", ".join(sorted({cause.field for cause in status.details.causes if cause.field}))
        return Rejected(
            f"{key}: {fields} belong to somebody else ({message}); leave them out, or deploy with --force"
        )
    if code == 422 and status.details and status.details.causes:
        return Rejected(*(f"{key}: {cause.field}: {cause.message}" for cause in status.details.causes))
    return Rejected(f"{key}: {message}") if code and code < 500 else Unreachable(f"{key}: {message}")


def _unknown(key: Key) -> Missing:
    group = key.api_version.partition("/")[0]
    needed = OPERATORS.get(group, "a newer Kubernetes")
    return Missing(f"{key}: the cluster has no {key.kind} ({key.api_version}): install {needed}")
