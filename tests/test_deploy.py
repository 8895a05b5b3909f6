"""The container files are held against the package: its extras, its options, its variables. Nothing is built here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from sqlalchemy import make_url

from plvm.cli.main import app
from plvm.server.keys import KeyFile

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "Dockerfile", ROOT / "deploy" / "space" / "Dockerfile")
pytestmark = pytest.mark.skipif(not FILES[0].exists(), reason="the container files are not in the source archive")


def instructions(file: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of a Dockerfile."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def of(file: Path, name: str) -> list[str]:
    return [rest for instruction, rest in instructions(file) if instruction == name]


def options_of(words: list[str]) -> dict[str, Any]:
    """What a `plvm` command line means; fails for an option that there is not."""
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context("plvm", list(words), resilient_parsing=False)
    return dict(context.params)


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=["repository", "space"])
def test_what_a_dockerfile_copies_and_installs_is_there(file: Path) -> None:
    shown = set((ROOT / ".dockerignore").read_text().split()) - {"*"}
    for line in of(file, "COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists() and f"!{source}" in shown, source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r'"\.\[([a-z,]+)\]"', " ".join(of(file, "RUN")))
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    copied = {word for line in of(file, "COPY") for word in line.split()}
    assert {"README.md", "LICENSE", "NOTICE"} <= copied, "the build reads them"
    assert of(file, "FROM") == ["python:3.11-slim-bookworm"] and of(file, "USER") == ["plvm"], "nobody is root"


def test_both_dockerfiles_install_the_same() -> None:
    one, other = (of(file, "ARG") + of(file, "COPY") + of(file, "RUN") for file in FILES)
    assert one == other


def test_the_container_serves_at_the_port_that_is_open_and_looked_at() -> None:
    (command,), (port,), (health,) = (of(FILES[0], name) for name in ("CMD", "EXPOSE", "HEALTHCHECK"))
    assert json.loads(of(FILES[0], "ENTRYPOINT")[0]) == ["plvm"]
    found = options_of(json.loads(command))
    assert (found["host"], found["port"]) == ("0.0.0.0", int(port)) and f":{port}/healthz" in health
    assert "PLVM_HOME=/data" in of(FILES[0], "ENV")[0] and of(FILES[0], "VOLUME") == ["/data"]


def test_the_commands_that_the_files_tell_are_real() -> None:
    comments = [line for file in (*FILES, ROOT / "compose.yaml") for line in file.read_text().splitlines() if line[:1] == "#"]
    texts = [*comments, (ROOT / "deploy/space/README.md").read_text(encoding="utf-8")]
    told = [line for text in texts for line in re.findall(r"\bplvm ((?:keys|store|list|serve)\b[^\n#,]*)", text)]
    assert len(told) >= 5
    for line in told:
        options_of(shlex.split(line))


def test_compose_starts_what_there_is_and_opens_it_to_this_machine_alone() -> None:
    services = compose()["services"]
    ours, db = services["plvm"], services["db"]
    found = options_of(ours["command"])
    assert found["host"] == "0.0.0.0" and all(port.startswith("127.0.0.1:") for port in ours["ports"]) and "ports" not in db
    url = make_url(ours["command"][ours["command"].index("--store") + 1])
    assert (url.host, url.username, url.database) == ("db", db["environment"]["POSTGRES_USER"], db["environment"]["POSTGRES_DB"])
    assert url.password is None and ours["environment"]["PGPASSWORD"] == db["environment"]["POSTGRES_PASSWORD"]
    assert ours["depends_on"]["db"]["condition"] == "service_healthy" and "healthcheck" in db
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src" / "plvm" / "cli").glob("*.py"))
    assert all(name in source for name in ours["environment"] if name.startswith("PLVM_")), "a variable that nobody reads"
    for volume in [*ours["volumes"], *db["volumes"]]:
        assert volume.split(":")[0] in compose()["volumes"]


def test_a_space_serves_at_its_port_with_the_keys_of_its_secret(tmp_path: Path) -> None:
    front = yaml.safe_load((ROOT / "deploy/space/README.md").read_text(encoding="utf-8").split("---")[1])
    assert front["sdk"] == "docker" and [str(front["app_port"])] == of(FILES[1], "EXPOSE")
    shell, flag, script = json.loads(of(FILES[1], "CMD")[0])
    key = KeyFile(tmp_path / "made.json").new("space")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "plvm").write_text('#!/bin/sh\necho "$@"\n')
    (programs / "plvm").chmod(0o755)
    environment = {
        "HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}",
        "PLVM_KEYS_JSON": (tmp_path / "made.json").read_text(),
    }  # fmt: skip
    done = subprocess.run([shell, flag, script], env=environment, capture_output=True, text=True, check=True)
    found = options_of(shlex.split(done.stdout))
    assert found["host"] == "0.0.0.0" and found["port"] == front["app_port"] and found["keys"] == tmp_path / "keys.json"
    entry = KeyFile(tmp_path / "keys.json").namespace_of(key)
    assert entry is not None and entry.namespace == "space"


def test_compose_itself_takes_the_file() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not on this machine")
    environment = {**os.environ, "PLVM_DB_PASSWORD": "x"}
    command = ["docker", "compose", "-f", str(ROOT / "compose.yaml"), "config", "--quiet"]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0
