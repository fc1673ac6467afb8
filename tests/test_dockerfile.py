"""The Dockerfile does what the README tells a newcomer to do, no more and no less; nothing here needs Docker."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
STEPS = [
    line.split(" ", 1)
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
NEEDED = {"make": {"make"}, "a C toolchain": {"gcc", "libc6-dev"}}
"""What the README asks a machine for, besides Python, as Debian names it."""


def all_of(instruction: str) -> list[str]:
    return [rest for name, rest in STEPS if name == instruction]


def test_its_python_is_one_that_the_readme_admits() -> None:
    asked = re.search(r"Python (\d+)\.(\d+) or newer, make and a C toolchain:\n\n```\nmake run ", README)
    assert asked, "the README says first what a machine needs, and then the two commands"
    (image,) = all_of("FROM")
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim", image)
    assert version
    assert tuple(map(int, version.groups())) >= tuple(map(int, asked.groups()))


def test_it_installs_what_the_readme_asks_for() -> None:
    (installing, setup) = all_of("RUN")
    packages = re.search(r"apt-get install -y --no-install-recommends ([a-z0-9 .+-]+?) &&", installing)
    assert packages
    assert set(packages[1].split()) == set().union(*NEEDED.values())
    assert setup == "make setup", "the target that `make run` stands on"
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^run: setup\b", makefile, re.MULTILINE)
    assert re.search(r"^setup: \.venv/ready$", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "path", ["Makefile", "pyproject.toml", "constraints.txt", "README.md", "flows", "gdcore", "tasks"]
)
def test_what_setup_reads_is_copied_before(path: str) -> None:
    assert STEPS.index(["COPY", ". ."]) < STEPS.index(["RUN", "make setup"])
    ignored = (ROOT / ".dockerignore").read_text().split() if (ROOT / ".dockerignore").exists() else []
    assert not [each for each in ignored if each.strip("/").partition("/")[0] == path]


def test_the_command_is_found_where_setup_puts_it() -> None:
    (environment,) = all_of("ENV")
    folder = next(rest for name, rest in STEPS if name == "WORKDIR")
    assert f"PATH={folder}/.venv/bin:$PATH" in environment
    assert "GDFLOW_HOME=/data" in environment
    assert all_of("VOLUME") == ["/data"]
