"""Where an actor's own actors go: into the pool of nodes that it runs in itself.

A cluster labels its nodes `pool=api`, `pool=collect` and so on, and serve_config's deployments ask for a pool. What a
deployment starts itself must ask too, or Ray puts it wherever there is room: a collector beside the API.
"""

from typing import Any

import ray

LABEL = "pool"


def beside_me() -> dict[str, Any]:
    """Options for an actor that shall run in this process' pool; none on a laptop, which has no pools."""
    pool = ray.get_runtime_context().get_node_labels().get(LABEL)
    return {"label_selector": {LABEL: pool}} if pool else {}
