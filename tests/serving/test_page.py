"""The page: what is written, what is refused."""

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_bundle import exported
from small_server import serve
from typer.testing import CliRunner

from flows.cli import app
from gdcore.errors import UserError
from gdcore.serving.manifest import read_manifest, write_manifest
from gdcore.serving.page import PACKAGE, SCRIPT, WASM, WEB, find_runtime, write_page


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder that looks like the package."""
    folder = tmp_path / "node_modules" / PACKAGE
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": PACKAGE, "version": "1.2.3"}))
    (folder / "dist" / SCRIPT).write_text("export {};")
    (folder / "dist" / WASM).write_bytes(b"\0asm" * 1000)
    return folder


def read_manifest_of(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "manifest.json").read_text())


def test_the_folder_holds_page_bundle_and_runtime(tmp_path: Path, runtime: Path) -> None:
    bundle, out = exported("crf") / "bundle", tmp_path / "site"
    sizes = write_page(bundle, out, runtime)
    assert read_manifest(out / "bundle") == read_manifest(bundle)
    assert {path.name for path in WEB.iterdir()} <= {path.name for path in out.iterdir()}
    about = json.loads((out / "runtime" / "runtime.json").read_text())
    packed = (out / "runtime" / about["wasm"]).read_bytes()
    assert gzip.decompress(packed) == (runtime / "dist" / WASM).read_bytes()
    assert (about["version"], about["size"]) == ("1.2.3", len(packed))
    assert sizes["runtime"] == len(packed) + (runtime / "dist" / SCRIPT).stat().st_size
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    write_page(bundle, out, runtime)  # over itself
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_the_page_is_small_and_asks_no_other_host() -> None:
    assert sum(path.stat().st_size for path in WEB.iterdir()) < 60 * 1024
    addresses = {
        address
        for path in WEB.iterdir()
        for address in re.findall(r"https?://[^\s\"'`)]+|(?<=[\"'(])//\w[^\s\"')]*", path.read_text("utf-8"))
    }
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
    page = (WEB / "index.html").read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert set(" ".join(allowed.values()).split()) == {"'none'", "'self'", "'wasm-unsafe-eval'"}
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", page)  # which the policy forbids
    scripts = "".join(path.read_text("utf-8") for path in WEB.glob("*.js"))
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)


def test_every_element_that_a_script_asks_for_is_there() -> None:
    page = (WEB / "index.html").read_text("utf-8")
    scripts = "".join(path.read_text("utf-8") for path in WEB.glob("*.js"))
    asked, there = set(re.findall(r'\$\("([\w-]+)"\)', scripts)), re.findall(r'\bid="([\w-]+)"', page)
    assert asked <= set(there)
    assert len(set(there)) == len(there)
    described = re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', page)
    assert {name for names in described for name in names.split()} <= set(there)


def test_what_cannot_be_shown_is_refused_in_words(tmp_path: Path, runtime: Path) -> None:
    with pytest.raises(UserError, match="npm install onnxruntime-web"):
        find_runtime(tmp_path / "elsewhere")
    assert find_runtime(tmp_path) == runtime
    bundle = exported("crf") / "bundle"
    with pytest.raises(
        UserError, match=r"is not the npm package onnxruntime-web: expected a folder with its package\."
    ):
        write_page(bundle, tmp_path / "site", tmp_path)
    (runtime / "dist" / WASM).unlink()
    with pytest.raises(UserError, match=r"version 1\.2\.3\) has no dist/ort-wasm.*install a newer version"):
        write_page(bundle, tmp_path / "site", runtime)
    assert not (tmp_path / "site").exists()


def test_the_command_finds_the_runtime_and_says_the_sizes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = str(exported("crf") / "bundle")
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    without = CliRunner().invoke(app, ["page", "--bundle", bundle, "--out", str(tmp_path / "site")])
    assert (without.exit_code, "npm install onnxruntime-web" in without.stderr) == (2, True)
    monkeypatch.chdir(tmp_path)
    arguments = ["page", "--bundle", bundle, "--out", "site", "--json"]
    told = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert told["folder"] == str(tmp_path / "site")
    assert told["bytes"]["page"] == sum(path.stat().st_size for path in WEB.iterdir())
    assert CliRunner().invoke(app, ["page", "--bundle", "site/bundle", "--out", "site"]).exit_code == 0  # in its place


@pytest.mark.parametrize(
    ("file", "key", "value", "words"),
    [
        ("manifest.json", "graphs", {}, "has no decode.onnx, which the page writes and suggests with"),
        ("tokenizer_config.json", "kind", "pretrained", "a pretrained model's own tokenizer, which the page cannot"),
    ],
)
def test_a_bundle_of_another_kind_is_refused(
    tmp_path: Path, runtime: Path, file: str, key: str, value: Any, words: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(exported("crf") / "bundle", bundle)
    described = json.loads((bundle / file).read_text()) | {key: value}
    (bundle / file).write_text(json.dumps(described))
    write_manifest(bundle, {k: v for k, v in read_manifest_of(bundle).items() if k not in ("schema_version", "files")})
    with pytest.raises(UserError, match=words):
        write_page(bundle, tmp_path / "site", runtime)


def test_a_server_has_it_beside_what_it_answers(tmp_path: Path, runtime: Path) -> None:
    bundle, out = exported("crf") / "bundle", tmp_path / "site"
    write_page(bundle, out, runtime)
    with serve({"model": bundle}, page=out) as running:
        page = running.http.get("/")
        assert page.text == (WEB / "index.html").read_text("utf-8")
        assert page.headers["content-security-policy"] in page.text
        assert running.http.get("/bundle/manifest.json").json() == json.loads((bundle / "manifest.json").read_text())
        assert running.http.get("/v1/models").json()["data"][0]["id"] == "model"
        assert running.http.get("/../secret").status_code == 404
        assert running.http.get("/no-such.js").status_code == 404
    with serve({"model": bundle}) as running:
        assert running.http.get("/").status_code == 404
