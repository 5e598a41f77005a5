"""The Dockerfile, as far as it can be read without building it."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.kuberay.manifests import REPO

LINES = re.sub(r"\\\n\s*", " ", (REPO / "Dockerfile").read_text()).splitlines()


def said(word: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(word + " ")]


def test_it_runs_as_nobody_special_and_has_what_kuberay_asks_for():
    assert said("USER") == ["1000:1000"]
    final = "\n".join(LINES[[n for n, line in enumerate(LINES) if line.startswith("FROM")][-1] :])
    assert re.search(r"apt-get install .*\bbash\b.*\bwget\b", final)
    assert "build-essential" not in final
    (base,) = (line.partition("=")[2] for line in LINES if line.startswith("ARG PYTHON="))
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)


def test_what_it_copies_is_there_and_not_ignored():
    allowed = {line[1:] for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in said("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied <= allowed
    assert all((REPO / name).exists() for name in copied)
    assert not any(secret in " ".join(copied) for secret in (".env", "secrets", "kubeconfig"))


def test_every_version_is_pinned_as_the_project_wants_it():
    lines = (REPO / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["models"]]
    for one in map(Requirement, wanted):
        assert one.specifier.contains(pinned[canonicalize_name(one.name)]), one
