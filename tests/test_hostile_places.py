"""A full disk, a disk that cannot be written, a machine without a network, an environment full of secrets."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_run import assignments, write_texts

import flows
from gdcore.artifacts import Store
from gdcore.serving.session import Session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SECRET = "hunter2-correct-horse-battery-staple"
SETTINGS = {"promotion.mode": "off", "validation.keep_near_duplicates": True}


def run(
    home: Path, texts: Path, *before: str, environment: dict[str, str] | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", "run", "--preset", "tiny", "--corpus", str(texts)]
    command += ["--home", str(home), "--json", *assignments(**SETTINGS | settings)]
    told = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
    return subprocess.run([*before, *command], env=told, capture_output=True, text=True, timeout=600)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB, which may be enlarged."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not works("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)):
        pytest.skip("this user may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def taken(folder: Path) -> int:
    """Bytes, by whole pages, as a file system in memory counts them."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_told_and_leaves_a_store_that_can_be_gone_on_with(tmp_path: Path, small_disk: Path) -> None:
    texts, store = write_texts(tmp_path / "texts.txt"), Store(small_disk / "artifacts")
    settings: dict[str, Any] = {"generator.hidden_dim": 128, "generator.embedding_dim": 128, "pretrain.steps": 2}

    def too_small(size: int, stage: str) -> None:
        resize(small_disk, str(size))
        full = run(small_disk, texts, **settings)
        assert full.returncode == 2, full.stderr
        assert f"no space is left for {stage}" in full.stderr
        assert "Traceback" not in full.stderr
        assert store.complaints() == {}

    def large_enough() -> None:
        resize(small_disk, "64m")
        done = run(small_disk, texts, **settings)
        assert done.returncode == 0, done.stderr
        assert store.complaints() == {}
        assert [*store.root.glob(".drafts/*"), *store.root.glob(".work/*")] == []

    too_small(600_000, "")
    too_small(1_200_000, "pretraining")
    large_enough()
    bundle = taken(store.root / "export")
    shutil.rmtree(store.root / "export")
    too_small(taken(small_disk) + bundle // 2, "export")
    large_enough()


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = run(small_disk, write_texts(tmp_path / "texts.txt"))
    assert refused.returncode == 2, refused.stderr
    assert str(small_disk) in refused.stderr
    assert "--home" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_home_that_cannot_be_written_is_read(tmp_path: Path, small_disk: Path) -> None:
    resize(small_disk, "64m")
    made = run(small_disk, write_texts(tmp_path / "texts.txt"), environment=None, **{"promotion.mode": "automatic"})
    assert made.returncode == 0, made.stderr
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    def gdflow(*command: str) -> dict[str, Any]:
        whole = [sys.executable, "-m", "flows.cli", *command, "--home", str(small_disk), "--json"]
        done = subprocess.run(whole, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert len(gdflow("generate", "--champion", "--num", "3")["texts"]) == 3
    assert gdflow("store", "verify")["damaged"] == {}
    assert gdflow("store")["artifacts"]
    assert gdflow("store", "du")["bytes"] > 0
    assert [each["champion"] for each in gdflow("runs")["runs"]] == [["champion"]]
    assert Session(small_disk / "runs" / "latest" / "bundle").generate(num=1)
    serving = [sys.executable, "-m", "flows.cli", "serve", "--champion", "--home", str(small_disk), "--port", "0"]
    with subprocess.Popen([*serving, "--json"], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stdout
        url = json.loads(server.stdout.readline())["url"]
        (answer,) = httpx.post(f"{url}/v1/completions", json={}, timeout=60).json()["choices"]
        assert answer["text"]
        server.terminate()


def test_nothing_is_sent_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a namespace whose only way out leads nowhere and counts: what phones home or downloads, in vain or in silence,
    is seen. Names are asked for by the same way."""
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
    counting = f"""
        mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && ip link set lo up &&
        ip link add out type veth peer name nowhere &&
        for end in out nowhere; do ip link set $end addrgenmode none && ip link set $end up || exit 99; done &&
        ip address add 192.0.2.2/24 dev out && ip route add default via 192.0.2.1 || exit 99
        "$@"; status=$?
        awk '$1 == "out:" {{ print $11 }}' /proc/net/dev > {tmp_path}/sent; exit $status"""
    lonely = ("unshare", "-n", "-m", "sh", "-c", counting, "sh")
    if not works(*lonely, "true"):
        pytest.skip("this user may not make network namespaces")

    def sent() -> int:
        return int((tmp_path / "sent").read_text())

    asking = "import socket; socket.getaddrinfo('example.org', 443)"
    assert not works(*lonely, sys.executable, "-c", asking)
    assert sent() > 0, "this would see it"
    others = ("ORT_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "CI")
    for name in (*flows.DEFAULTS, *others):  # that a caller may have set
        monkeypatch.delenv(name, raising=False)
    done = run(tmp_path, write_texts(tmp_path / "texts.txt"), *lonely)
    assert done.returncode == 0, done.stderr
    assert sent() == 0


def test_a_secret_of_the_environment_stays_there(tmp_path: Path) -> None:
    planted = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "DATABASE_PASSWORD"), SECRET)
    home = tmp_path / "home"
    prefect = tmp_path / "prefect"
    told = planted | {"PREFECT_HOME": str(prefect)}
    done = run(home, write_texts(tmp_path / "texts.txt"), environment=told)
    assert done.returncode == 0, done.stderr
    # A failing run says more: its cause and its log go to Prefect's database too.
    failed = run(home, tmp_path / "none.txt", environment=told)
    assert failed.returncode == 2
    assert SECRET not in done.stdout + done.stderr + failed.stdout + failed.stderr
    files = [path for folder in (home, prefect) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
