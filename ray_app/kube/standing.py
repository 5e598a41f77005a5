"""How a RayService stands, read from its status, its pods and their events: pure functions of what the cluster says.

What stands in the way is said with what to do about it. Nothing here reads a Secret: that one is missing shows in
the pod that waits for it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ray_app.kube.objects import Object, applications

RUNNING = "RUNNING"
ENDED_BADLY = ("DEPLOY_FAILED", "UNHEALTHY")
NODE_LABEL = {"node-type": "cryptoai-data-collection"}
REFUSED = ("ValidationFailed", "InitializingTimeout")  # why a RayService is not Ready, for good
TROUBLE = ("Failed", "Invalid", "Evicted", "AutoscalerServiceAccountNotFound")  # how reasons of events begin
TOLD_BY_PODS = ("Failed", "FailedScheduling")
LABEL_COMMAND = "kubectl label node NODE node-type=cryptoai-data-collection"
# What an application or a pod says -> what to do. The first that fits counts.
HINTS = (
    (
        r"newer node|by a newer release",
        "the database was migrated by a newer release: deploy that one, or restore a backup from before",
    ),
    (
        r"other kind of data|holds simulated|holds real",
        "the database holds the other kind of data: name another one in crypto-data-database",
    ),
    (
        r"already has the tables",
        "the database has somebody else's tables: name an empty one in crypto-data-database",
    ),
    (
        r"Access denied|command denied",
        "the database refuses the user: see kuberay/news_collector.sql and the Secret crypto-data-database",
    ),
    (
        r"No space left|disk is full|Disk quota|ephemeral-storage|DiskPressure|cannot be written",
        "a volume is full: enlarge the claim `raw` or `exports`, or free the data node's disk",
    ),
    (
        r"StoreUnavailable|Can't connect to MySQL|Connection refused",
        "the database does not answer: is it up, and does addresses.yaml have its address?",
    ),
    (
        r"is not a setting|CRYPTO_DATA_",
        "a setting is wrong: kuberay/settings/settings.env and the Secrets",
    ),
)


@dataclass(frozen=True)
class Standing:
    """`running`: every application, of the newest manifest. `waiting`: on its way. `broken`: what is in the way."""

    running: bool
    waiting: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        return (*self.broken, *self.waiting)


def standing(service: Object, pods: Sequence[Object], events: Sequence[Object]) -> Standing:
    """How the RayService stands, and its pods of the cluster that is being made."""
    status = service.get("status") or {}
    pending = status.get("pendingServiceStatus") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    if ready.get("reason") in REFUSED:  # KubeRay looks no further, and observes no generation
        return Standing(False, broken=(f"KubeRay: {ready['reason']}: {ready.get('message', '')}",))
    if status.get("observedGeneration", 0) < service["metadata"].get("generation", 1):
        return Standing(
            False, ("KubeRay has not looked at it yet: does the operator run, and watch this namespace?",)
        )
    made = pending if pending.get("rayClusterName") else status.get("activeServiceStatus") or {}
    said = made.get("applicationStatuses") or {}
    waiting, broken = [], list(_of_pods(pods, made.get("rayClusterName", "")))
    for name in applications(service):
        one = said.get(name) or {}
        state, message = one.get("status", "NOT_STARTED"), _last(one.get("message", ""))
        if state in ENDED_BADLY:
            broken.append(f"application {name} is {state}: {message}{hint(message)}")
        elif state != RUNNING:
            waiting.append(f"application {name} is {state}")
    broken += list(_of_events(events))
    upgrading = conditions.get("UpgradeInProgress", {}).get("status") == "True" or bool(
        pending.get("rayClusterName")
    )
    if upgrading:
        waiting.append("the new cluster has no requests yet")
    elif ready.get("status") != "True":
        waiting.append(
            f"not ready: {ready.get('message') or ready.get('reason') or 'KubeRay has not said why'}"
        )
    return Standing(not waiting and not broken, tuple(waiting), tuple(dict.fromkeys(broken)))


def hint(message: str) -> str:
    """What to do about a message; "" where nothing is known."""
    return next((f" -> {do}" for pattern, do in HINTS if re.search(pattern, message)), "")


def _last(message: str) -> str:
    """The line of a Python traceback that says what it was."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def _of_pods(pods: Sequence[Object], cluster: str) -> Iterator[str]:
    for pod in pods:
        labels = pod["metadata"].get("labels", {})
        if cluster and labels.get("ray.io/cluster") not in (None, cluster):
            continue  # of the cluster that still serves
        where = f"pod {pod['metadata']['name']}"
        status = pod.get("status") or {}
        for one in status.get("conditions") or ():
            if one["type"] == "PodScheduled" and one["status"] == "False":
                yield f"{where} has no place: {one.get('message', '')}{_placed(one.get('message', ''))}"
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            if text := _of_container(one):
                yield f"{where}, {one['name']}: {text}"
        if status.get("reason") == "Evicted":
            yield f"{where} was evicted: {status.get('message', '')}{hint(status.get('message', ''))}"


def _placed(message: str) -> str:
    if "node affinity/selector" in message:
        return f" -> no node has the label: {LABEL_COMMAND}"
    if "untolerated taint" in message:
        return " -> the data node has a taint other than dedicated=cryptoai-data-collection: remove it there"
    if "Insufficient" in message:
        return " -> the data node is too small: an upgrade runs two clusters at once (docs/deploy.md)"
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        return " -> a claim is not bound (kuberay/base/storage.yaml): does the cluster have a default StorageClass?"
    return ""


def _of_container(one: Object) -> str:
    state = one.get("state") or {}
    waiting, last = state.get("waiting") or {}, (one.get("lastState") or {}).get("terminated") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        why = f"image {one.get('image', '')} cannot be had ({message or reason})"
        return f"{why} -> is the tag right and pushed, and may the node pull it?"
    if reason == "CreateContainerConfigError":
        if found := re.search(r'secret "([^"]+)" not found', message):
            return f"there is no Secret {found[1]} -> make it as in kuberay/secrets.example.yaml"
        if found := re.search(r"couldn't find key (\S+) in Secret \S*?([\w.-]+)$", message):
            return f"the Secret {found[2]} lacks {found[1]} -> see kuberay/secrets.example.yaml"
        return message
    if reason == "CrashLoopBackOff":
        why = last.get("message") or last.get("reason") or message
        extra = " -> it needs more memory" if last.get("reason") == "OOMKilled" else hint(why)
        return f"ends again and again: {_last(why)}{extra}"
    return ""


def _of_events(events: Sequence[Object]) -> Iterator[str]:
    """Warnings that no pod can tell: pods that could not be made, volumes that could not be mounted."""
    for one in events:
        reason = one.get("reason") or ""
        if one.get("type") != "Warning" or not reason.startswith(TROUBLE) or reason in TOLD_BY_PODS:
            continue
        message, about = one.get("message", ""), one.get("involvedObject") or {}
        extra = hint(message)
        if "exceeded quota" in message:
            extra = " -> the quota in kuberay/base/quota.yaml is used up: does an old cluster still run?"
        if found := re.search(r'secret "([^"]+)" not found', message):
            extra = f" -> make the Secret {found[1]} as in kuberay/secrets.example.yaml"
        yield f"{about.get('kind', '')} {about.get('name', '')}: {message}{extra}"
