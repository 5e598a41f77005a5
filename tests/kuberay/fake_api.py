"""An API server for tests, over real HTTP: what our client asks for, answered as a real one did when recorded.

Objects with generations and resource versions, server-side apply with owners of fields, schemas of the custom
resources, dry runs, pages, finalizers, and the refusals. No watch, no tables, no discovery: our client asks for none.
"""

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ray_app.kube.objects import KINDS, Object
from tests.kuberay import crds

PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>v\w+))(?:/namespaces/(?P<ns>[^/]+)(?=/))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?P<sub>/status)?$"
)
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
CREATED = "2026-11-23T01:29:52Z"
Place = tuple[str, str, str, str]  # group, plural, namespace, name


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.body: Object = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, **({"details": details} if details else {}), "code": code,
        }  # fmt: skip


@dataclass
class Asked:
    """One request, taken apart."""

    method: str
    group: str
    plural: str
    namespace: str
    name: str
    status: bool
    params: dict[str, str]
    body: Any
    content_type: str

    @property
    def place(self) -> Place:
        return (self.group, self.plural, self.namespace, self.name)

    @property
    def details(self) -> Object:
        return {"name": self.name, **({"group": self.group} if self.group else {}), "kind": self.plural}

    @property
    def kind(self) -> str:
        return next(kind for (_, kind), (plural, _) in KINDS.items() if plural == self.plural)

    @property
    def what(self) -> str:
        return f"{self.plural}{f'.{self.group}' if self.group else ''}"


@dataclass
class FakeApi:
    """The state, and what a test may set: groups that are not installed, users that are refused."""

    objects: dict[Place, Object] = field(default_factory=dict)
    owners: dict[Place, dict[str, dict[str, Any]]] = field(default_factory=dict)  # manager -> path -> value
    version: int = 244
    tokens: dict[str, str] = field(default_factory=lambda: {"good": "tests"})
    forbidden: Callable[[str, str], bool] = lambda user, what: False
    absent_groups: set[str] = field(default_factory=set)
    on_apply: Callable[[Object], None] = lambda one: None
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def answer(self, asked: Asked) -> tuple[int, Object, str]:
        """Status, body and warning."""
        if asked.group in self.absent_groups:
            raise Refusal(404, "NotFound", "the server could not find the requested resource", {})
        handlers = {
            "GET": self._get,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        return handlers[asked.method](asked)

    def put(self, *found: Object) -> None:
        """Objects that are there from the beginning."""
        for one in found:
            plural, _ = KINDS[one["apiVersion"], one["kind"]]
            group = one["apiVersion"].rpartition("/")[0]
            namespace, name = one["metadata"].get("namespace", ""), one["metadata"]["name"]
            self._store((group, plural, namespace, name), deepcopy(one))

    def at(self, kind: str, name: str, namespace: str = "crypto-data-collection") -> Object:
        (place,) = (
            p
            for p, one in self.objects.items()
            if one["kind"] == kind and p[3] == name and p[2] in (namespace, "")
        )
        return self.objects[place]

    def _store(self, place: Place, one: Object, old: Object | None = None) -> Object:
        metadata = one["metadata"]
        if old is not None and {**old, "metadata": _plain(old)} == {**one, "metadata": _plain(one)}:
            return old
        self.version += 1
        before: Object = (
            old["metadata"]
            if old
            else {"uid": str(uuid.uuid4()), "creationTimestamp": CREATED, "generation": 0}
        )
        changed = old is None or old.get("spec") != one.get("spec")
        metadata |= {key: before[key] for key in ("uid", "creationTimestamp")}
        metadata["generation"] = before["generation"] + changed
        metadata["resourceVersion"] = str(self.version)
        self.objects[place] = one
        return one

    def _found(self, asked: Asked) -> Object:
        one = self.objects.get(asked.place)
        if one is None:
            raise Refusal(404, "NotFound", f'{asked.what} "{asked.name}" not found', asked.details)
        return one

    def _get(self, asked: Asked) -> tuple[int, Object, str]:
        if asked.name:
            return 200, self._found(asked), ""
        wanted = dict(pair.split("=") for pair in asked.params.get("labelSelector", "").split(",") if pair)
        places = sorted(p for p in self.objects if p[:2] == asked.place[:2] and asked.namespace in ("", p[2]))
        items = [self.objects[p] for p in places]
        items = [one for one in items if wanted.items() <= one["metadata"].get("labels", {}).items()]
        start = asked.params.get("continue")
        if start:
            after = json.loads(base64.b64decode(start + "=="))["start"].rstrip("\0").lstrip("/")
            items = [one for one in items if one["metadata"]["name"] > after]
        limit = int(asked.params.get("limit", 0)) or len(items)
        metadata: Object = {"continue": "", "resourceVersion": str(self.version)}
        if len(items) > limit:
            at = {
                "v": "meta.k8s.io/v1",
                "rv": self.version,
                "start": ("/" if start else "") + items[limit - 1]["metadata"]["name"] + "\0",
            }
            packed = base64.b64encode(json.dumps(at, separators=(",", ":")).encode()).decode().rstrip("=")
            metadata |= {"continue": packed, "remainingItemCount": len(items) - limit}
        api_version = f"{asked.group}/v1" if asked.group else "v1"
        return (
            200,
            {
                "apiVersion": api_version,
                "kind": f"{asked.kind}List",
                "items": items[:limit],
                "metadata": metadata,
            },
            "",
        )

    def _in_namespace(self, asked: Asked) -> None:
        if asked.namespace and ("", "namespaces", "", asked.namespace) not in self.objects:
            details = {"name": asked.namespace, "kind": "namespaces"}
            raise Refusal(404, "NotFound", f'namespaces "{asked.namespace}" not found', details)

    def _post(self, asked: Asked) -> tuple[int, Object, str]:
        one = deepcopy(asked.body)
        asked.name = one["metadata"]["name"]
        self._in_namespace(asked)
        if asked.namespace:
            one["metadata"]["namespace"] = asked.namespace
        if asked.place in self.objects:
            raise Refusal(409, "AlreadyExists", f'{asked.what} "{asked.name}" already exists', asked.details)
        return 201, *self._written(asked, one, None)

    def _put(self, asked: Asked) -> tuple[int, Object, str]:
        old = self._found(asked)
        if (
            asked.body["metadata"].get("resourceVersion", old["metadata"]["resourceVersion"])
            != old["metadata"]["resourceVersion"]
        ):
            message = (f'Operation cannot be fulfilled on {asked.what} "{asked.name}": the object has been modified; '
                       "please apply your changes to the latest version and try again")  # fmt: skip
            raise Refusal(409, "Conflict", message, asked.details)
        return 200, *self._written(asked, deepcopy(asked.body), old)

    def _patch(self, asked: Asked) -> tuple[int, Object, str]:
        kinds = [JSON_PATCH, MERGE, APPLY]
        if asked.content_type not in kinds:
            message = "the body of the request was in an unknown format - accepted media types include: "
            message += ", ".join(kinds)
            raise Refusal(415, "UnsupportedMediaType", message)
        old = self.objects.get(asked.place)
        if asked.content_type == APPLY:
            self._in_namespace(asked)
            return (200 if old else 201), *self._applied(asked, old)
        old = self._found(asked)
        new = deepcopy(old)
        if asked.content_type == JSON_PATCH:
            for step in asked.body:
                *parts, last = step["path"].strip("/").split("/")
                inner = new
                for part in parts:
                    inner = inner.setdefault(part, {})
                assert step["op"] == "add"
                inner[last] = step["value"]
        else:
            patch = {"status": asked.body.get("status", {})} if asked.status else asked.body
            _merge(new, patch)
        body, warning = self._written(asked, new, old)
        if asked.status and (strange := list(asked.body.get("spec", {}))):
            warning = f'299 - "unknown field \\"spec.{strange[0]}\\""'
        return 200, body, warning

    def _applied(self, asked: Asked, old: Object | None) -> tuple[Object, str]:
        manager, ours = asked.params["fieldManager"], deepcopy(asked.body)
        if asked.group == "ray.io":
            crds.default(crds.schema(asked.group, asked.kind) or {}, ours)
        owned = dict(_leaves(ours))
        others = self.owners.get(asked.place, {})
        now = dict(_leaves(old or {}))
        conflicts = [
            (other, path)
            for path, value in owned.items()
            for other, theirs in others.items()
            if other != manager and path in theirs and now.get(path) != value
        ]
        if conflicts and asked.params.get("force") != "true":
            by, path = conflicts[0]
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{o}"', "field": p}
                for o, p in conflicts
            ]
            plural = f"{len(conflicts)} conflict{'s' if conflicts[1:] else ''}"
            raise Refusal(
                409,
                "Conflict",
                f'Apply failed with {plural}: conflict with "{by}": {path}',
                {"causes": causes},
            )
        new = deepcopy(old) if old else {}
        for path in others.get(manager, {}).keys() - owned.keys():  # what we no longer speak of goes
            _drop(new, path)
        _merge(new, asked.body)
        body, warning = self._written(asked, new, old)
        if "dryRun" not in asked.params:
            for other, path in conflicts:
                others[other].pop(path, None)
            self.owners.setdefault(asked.place, {})[manager] = owned
            self.on_apply(body)
        return body, warning

    def _written(self, asked: Asked, new: Object, old: Object | None) -> tuple[Object, str]:
        warning = _refuse_invalid(asked, new, old)
        if "dryRun" in asked.params:
            kept, version = dict(self.objects), self.version
            body = deepcopy(self._store(asked.place, new, old))
            self.objects, self.version = kept, version
            if old is None:
                body["metadata"].pop("resourceVersion")
            return body, warning
        return self._store(asked.place, new, old), warning

    def _delete(self, asked: Asked) -> tuple[int, Object, str]:
        one = self._found(asked)
        if one["metadata"].get("finalizers"):
            self.version += 1
            marks = {
                "deletionTimestamp": CREATED,
                "deletionGracePeriodSeconds": 0,
                "resourceVersion": str(self.version),
            }
            one["metadata"] |= {**marks, "generation": one["metadata"]["generation"] + 1}
            return 200, one, ""
        del self.objects[asked.place]
        self.owners.pop(asked.place, None)
        self.version += 1
        details = {**asked.details, "uid": one["metadata"]["uid"]}
        return (
            200,
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details},
            "",
        )


def _plain(one: Object) -> Object:
    return {
        k: v
        for k, v in one["metadata"].items()
        if k not in ("resourceVersion", "generation", "uid", "creationTimestamp")
    }


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = deepcopy(value)


def _leaves(node: Object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Fields as an owner has them; a list is one field."""
    for key, value in node.items():
        if path == "" and key in ("apiVersion", "kind"):
            continue
        if path == ".metadata" and key in ("name", "namespace"):
            continue
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", value


def _drop(node: Object, path: str) -> None:
    *parts, last = path.strip(".").split(".")
    inner: Any = node
    for part in parts:
        inner = inner.get(part, {})
    inner.pop(last, None)


def _refuse_invalid(asked: Asked, new: Object, old: Object | None) -> str:
    """Raise as the API server does for what a custom resource's definition forbids; the warning otherwise."""
    if asked.group != "ray.io" or asked.status:
        return ""
    crds.default(crds.schema(asked.group, asked.kind) or {}, new)
    checked = {key: value for key, value in new.items() if key != "status"}
    found = crds.errors(checked)
    unknown = [f"{path}.{name}".strip(".") for path, kind, name in found if kind == "additionalProperties"]
    if unknown and asked.params.get("fieldValidation") == "Strict":
        fields = ", ".join(f'unknown field "{name}"' for name in unknown)
        message = f'{asked.kind} in version "v1" cannot be handled as a {asked.kind}: strict decoding error: {fields}'
        raise Refusal(400, "BadRequest", message)
    for name in unknown:
        _drop(new, f".{name}")
    causes = [
        {"reason": "FieldValueRequired", "message": "Required value", "field": f"{path}.{name}".strip(".")}
        for path, kind, name in found
        if kind == "required"
    ] + [
        {"reason": "FieldValueInvalid", "message": f"Invalid value: {name}", "field": path}
        for path, kind, name in found
        if kind not in ("required", "additionalProperties")
    ]
    if causes:
        unchecked = ("Invalid value: null: some validation rules were not checked because the object was invalid; "
                     "correct the existing errors to complete validation")  # fmt: skip
        causes.append({"reason": "FieldValueInvalid", "message": unchecked, "field": "<nil>"})
    else:
        causes = [
            {
                "reason": "FieldValueInvalid",
                "message": f"Invalid value: {json.dumps(value)}: {text}",
                "field": path,
            }
            for path, value, text in crds.rules(checked, old)
        ]
    if causes:
        said = [f"{one['field']}: {one['message']}" for one in causes]
        text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
        name = new["metadata"]["name"]
        details = {"name": name, "group": asked.group, "kind": asked.kind, "causes": causes}
        raise Refusal(422, "Invalid", f'{asked.kind}.{asked.group} "{name}" is invalid: {text}', details)
    return f'299 - "unknown field \\"{unknown[0]}\\""' if unknown else ""


class Served(ThreadingHTTPServer):
    """The fake behind an address."""

    daemon_threads = True

    def __init__(self, api: FakeApi) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.api, self.turn = api, threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**20  # head and body in one packet: two wait for each other's acknowledgement
    server: Served

    def log_message(self, *_: Any) -> None:
        pass

    def _do(self) -> None:
        url, api = urlsplit(self.path), self.server.api
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        params, warning = dict(parse_qsl(url.query)), ""
        code: int
        with self.server.turn:
            api.requests.append((self.command, url.path, params))
            try:
                asked = self._asked(url.path, params, text)
                code, body, warning = api.answer(asked)
            except Refusal as refusal:
                code, body = int(refusal.body["code"]), refusal.body
            sent = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        if warning:
            self.send_header("Warning", warning)
        self.end_headers()
        self.wfile.write(sent)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815  # names of the library

    def _asked(self, path: str, params: dict[str, str], text: bytes) -> Asked:
        user = self.server.api.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if user is None:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        match = PATH.fullmatch(unquote(path))
        if match is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource", {})
        content_type = self.headers.get("Content-Type", "")
        body = json.loads(text) if text else None  # also of APPLY: we write JSON, which is YAML
        asked = Asked(self.command, match["group"] or "", match["plural"], match["ns"] or "", match["name"] or "",
                      bool(match["sub"]), params, body, content_type)  # fmt: skip
        verb = {"GET": "get" if asked.name else "list", "POST": "create", "PUT": "update"}.get(
            self.command, self.command.lower()
        )
        if self.server.api.forbidden(user, f"{verb} {asked.plural}"):
            about = f'{asked.what} "{asked.name}"' if asked.name else asked.what
            scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
            message = (f'{about} is forbidden: User "{user}" cannot {verb} resource "{asked.plural}" '
                       f'in API group "{asked.group}" {scope}')  # fmt: skip
            raise Refusal(403, "Forbidden", message, asked.details)
        return asked
