"""What an actor starts goes where the actor itself is."""

from typing import Any

import ray

from ray_app.runtime.pool import beside_me


class Starter:
    def start(self) -> dict[str, Any]:
        class Child:
            def where(self) -> dict[str, Any]:
                return dict(ray.get_runtime_context().get_node_labels())

        child: Any = ray.remote(Child).options(num_cpus=0, **beside_me()).remote()
        return {"asked": beside_me(), "got": ray.get(child.where.remote())}


def test_an_actor_s_own_actors_ask_for_its_pool(ray_session: Any):
    starter: Any = ray.remote(Starter).options(num_cpus=0).remote()
    found: Any = ray.get(starter.start.remote(), timeout=60)
    assert found["asked"] == {"label_selector": {"pool": "tests"}}
    assert found["got"]["pool"] == "tests"
