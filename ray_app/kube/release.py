"""Deploying: try on the server, apply, wait until it runs, look from outside, else go back; remember what ran.

What ran is kept as ConfigMaps in the namespace, the last few, so that `rollback` needs no repository.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ray_app.kube.cluster import Cluster, Missing
from ray_app.kube.errors import KubeError, NotRunning, Rejected
from ray_app.kube.objects import (
    Key,
    Object,
    checked,
    differences,
    key_of,
    release_of,
    service_of,
    unfinished,
)
from ray_app.kube.standing import LABEL_COMMAND, NODE_LABEL, Standing, standing

PODS = {"app.kubernetes.io/name": "crypto-data"}
RECORDS = {"app.kubernetes.io/managed-by": "crypto-data", "crypto-data/record": "release"}
KEPT = 5  # releases to go back to
Say = Callable[[str], None]
Look = Callable[[str], Sequence[str]]  # a release, looked at from outside: what a user would miss


@dataclass(frozen=True)
class Patience:
    """Seconds until it runs at the most; `stuck`: that the same thing may stand in the way before it is believed."""

    whole: float = 1200.0
    stuck: float = 90.0
    between: float = 2.0
    settle: float = 300.0  # until what it collects shows from outside


@dataclass
class Deployment:
    """One deployment of some objects to a cluster."""

    cluster: Cluster
    objects: Sequence[Object]
    say: Say
    look: Look
    patience: Patience = Patience()
    force: bool = False

    def changes(self) -> list[tuple[Object, list[str]]]:
        """The objects that are not there as they should be, with what differs ("new" where nothing is)."""
        out = []
        for one in self.objects:
            there = self.cluster.get(key_of(one))
            if found := ["new"] if there is None else differences(one, there):
                out.append((one, found))
        return out

    def check(self, changed: Sequence[Object]) -> None:
        """Everything that can be told before anything is changed, all at once. Raises Rejected, Unreachable."""
        problems = unfinished(self.objects)
        service = service_of(self.objects)
        namespace = service["metadata"]["namespace"]
        there = self.cluster.get(Key("v1", "Namespace", "", namespace)) is not None
        for one in changed:
            if one["metadata"].get("namespace") and not there:
                continue  # nothing can be tried in a namespace that is not there: that follows when it is
            try:
                self.cluster.apply(one, dry_run=True, force=self.force)
            except (Rejected, Missing) as error:
                problems += error.problems
        if not self.cluster.list("v1", "Node", labels=NODE_LABEL):
            label = ", ".join("=".join(pair) for pair in NODE_LABEL.items())
            problems.append(f"no node has the label {label}: {LABEL_COMMAND}")
        if problems:
            raise Rejected(*problems)

    def run(self) -> str:
        """Deploy; the release that runs. Raises KubeError, which says whether what ran before runs again."""
        changed = self.changes()
        for one, found in changed:
            self.say(f"{key_of(one)}: " + "; ".join(found[:20]))
        self.check([one for one, _ in changed])
        release = release_of(service_of(self.objects))
        if not changed:
            self.say("nothing to change")
        before = self.past()
        try:
            self._apply([one for one, _ in changed])
            self._until_it_answers(release)
        except KubeError as error:
            raise self._back(before, error) from None
        self._remember(release)
        return release

    def _apply(self, objects: Sequence[Object]) -> None:
        for one in objects:
            self.cluster.apply(one, force=self.force)
            if one["kind"] == "Namespace":  # what could not be tried before
                rest = [other for other in objects if other["metadata"].get("namespace")]
                for other in rest:
                    self.cluster.apply(other, dry_run=True, force=self.force)

    def standing(self) -> Standing:
        service = service_of(self.objects)
        key = key_of(service)
        there = self.cluster.get(key)
        if there is None:
            return Standing(False, (f"{key} is not there",))
        pods = self.cluster.list("v1", "Pod", key.namespace, PODS)
        events = [one for one in self.cluster.list("v1", "Event", key.namespace) if _since(one, there)]
        return standing(there, pods, events)

    def _until_it_runs(self) -> bool:
        """Whether it had to be waited for. Raises NotRunning when the same stood in the way for long, or at the end."""
        started, stuck_since, said = time.monotonic(), time.monotonic(), Standing(False)
        while True:
            now = self.standing()
            if now.running:
                return bool(said.lines)
            if now.lines != said.lines:
                for line in now.lines:
                    if line not in said.lines:
                        self.say(line)
            if now.broken != said.broken:
                stuck_since = time.monotonic()
            said = now
            if now.broken and time.monotonic() - stuck_since >= self.patience.stuck:
                raise NotRunning(*now.broken)
            if time.monotonic() - started >= self.patience.whole:
                raise NotRunning(f"it does not run after {self.patience.whole:.0f} s", *now.lines)
            time.sleep(self.patience.between)

    def _until_it_answers(self, release: str) -> None:
        """Raises NotRunning with what a user would miss still, when everything has had time to come.

        An operator may see a change late: where the old release still answers, it is waited for again.
        """
        since: float | None = None
        while True:
            if self._until_it_runs() or since is None:
                since = time.monotonic()
            if not (missing := self.look(release)):
                return
            if time.monotonic() - since >= self.patience.settle:
                raise NotRunning(*missing)
            time.sleep(self.patience.between)

    def _back(self, before: Sequence["Record"], error: KubeError) -> KubeError:
        """Apply what ran before; the error, with how that went."""
        if not before:
            return NotRunning(
                *error.problems, "there is no release to go back to: it was left as it is, to be looked at"
            )
        last = before[0]
        self.say(f"going back to {last.release}")
        again = Deployment(self.cluster, last.objects, self.say, self.look, self.patience, force=True)
        try:
            again._apply([one for one, _ in again.changes()])
            again._until_it_runs()
        except KubeError as second:
            return NotRunning(
                *error.problems, f"went back to {last.release}, which does not run either:", *second.problems
            )
        return NotRunning(*error.problems, f"went back to {last.release}, which runs")

    def past(self) -> list["Record"]:
        """The releases that ran, newest first."""
        return records(self.cluster, service_of(self.objects)["metadata"]["namespace"])

    def _remember(self, release: str) -> None:
        """Keep what runs now, once; drop the oldest."""
        namespace, past = service_of(self.objects)["metadata"]["namespace"], self.past()
        text = json.dumps(list(self.objects), sort_keys=True)
        if past and past[0].text == text:
            return
        number = past[0].number + 1 if past else 1
        one: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"crypto-data-release-{number:06d}",
                "namespace": namespace,
                "labels": RECORDS,
            },
            "data": {"release": release, "objects": text},
        }
        self.cluster.apply(one)
        for old in past[KEPT - 1 :]:
            self.cluster.delete(Key("v1", "ConfigMap", namespace, f"crypto-data-release-{old.number:06d}"))


@dataclass(frozen=True)
class Record:
    """A release that ran. Numbers grow."""

    number: int
    release: str
    text: str

    @property
    def objects(self) -> list[Object]:
        return checked(json.loads(self.text))


def records(cluster: Cluster, namespace: str) -> list[Record]:
    """The releases that ran in a namespace, newest first. Raises KubeError."""
    found = cluster.list("v1", "ConfigMap", namespace, RECORDS)
    out = [
        Record(
            int(one["metadata"]["name"].rpartition("-")[2]), one["data"]["release"], one["data"]["objects"]
        )
        for one in found
    ]
    return sorted(out, key=lambda one: -one.number)


def rollback(
    cluster: Cluster, namespace: str, to: str | None, say: Say, look: Look, patience: Patience
) -> str:
    """Go back to the release before the present one, or to a named one; the release. Raises KubeError."""
    past = records(cluster, namespace)
    candidates = [one for one in past[1:] if to is None or one.release == to]
    if to is not None and past and past[0].release == to:
        candidates = past[:1]
    if not candidates:
        known = ", ".join(dict.fromkeys(one.release for one in past)) or "none"
        raise Rejected(
            f"there is no release {to or 'before the present one'} to go back to; kept are: {known}"
        )
    return Deployment(cluster, candidates[0].objects, say, look, patience, force=True).run()


def _since(event: Object, service: Object) -> bool:
    """Whether an event is of a pod or cluster of the service, newer than its last change of shape."""
    seen = (
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
    managed = [
        one.get("time") or ""
        for one in service["metadata"].get("managedFields") or ()
        if one.get("subresource") != "status"
    ]
    return seen[:19] >= max(managed, default="")[:19] and str(
        (event.get("involvedObject") or {}).get("name", "")
    ).startswith(service["metadata"]["name"])
