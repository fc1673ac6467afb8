"""The bundle's page: a folder that any static host serves, in which the bundle runs in the visitor's browser.

```
index.html  page.css  *.js     the page, as it lies in `web/`
bundle/                        the bundle, whole
runtime/                       onnxruntime-web as npm has it, its WebAssembly packed: a fourth of the bytes
```
onnxruntime-web is taken from where npm put it: no part of it lies in this package, and nothing is loaded from another
host when the page runs.
"""

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

from gdcore.errors import UserError
from gdcore.serving.manifest import NAME, read_manifest

WEB = Path(__file__).with_name("web")
PACKAGE = "onnxruntime-web"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The smallest build: WebAssembly alone. Without threads it needs no special headers of the host."""
NEEDED = ("decode.onnx", "model.onnx")


def write_page(bundle: Path, out: Path, runtime: Path) -> dict[str, int]:
    """Write the page of a bundle into a folder, new or not; returns the size in bytes of the page's own files, of the
    bundle's and of the runtime's.

    `runtime` is the folder of the npm package. Raises UserError for a bundle that the page cannot run, and for a folder
    that is not that package.
    """
    manifest = read_manifest(bundle)
    _check(bundle, manifest)
    version = _version(runtime)
    sizes = {
        "page": _copied(sorted(WEB.iterdir()), out),
        "bundle": _copied([bundle / name for name in (*manifest["files"], NAME)], out / "bundle"),
        "runtime": _copied([runtime / "dist" / SCRIPT], out / "runtime"),
    }
    # A host packs what it sends only if it is told to, and many are not. The time of packing is left out of it: the
    # same runtime gives the same bytes.
    packed = gzip.compress((runtime / "dist" / WASM).read_bytes(), mtime=0)
    (out / "runtime" / f"{WASM}.gz").write_bytes(packed)
    about = {"name": PACKAGE, "version": version, "script": SCRIPT, "wasm": f"{WASM}.gz", "size": len(packed)}
    (out / "runtime" / "runtime.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    sizes["runtime"] += len(packed)
    return sizes


def find_runtime(folder: Path) -> Path:
    """The package where npm installs it in a folder. Raises UserError where it is not there."""
    found = folder / "node_modules" / PACKAGE
    if not found.is_dir():
        raise UserError(
            f"the page runs the bundle by {PACKAGE}, and {found} is not there: npm install {PACKAGE}, or say where the "
            "package lies with --runtime"
        )
    return found


def policy() -> str:
    """What the page may load, as it says itself; for a server to say it too, because the page's word does not bind the
    worker that it starts."""
    (found,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', (WEB / "index.html").read_text("utf-8"))
    return found


def _check(bundle: Path, manifest: dict[str, Any]) -> None:
    """Whether the page can run it. Raises UserError."""
    for name in NEEDED:
        if name not in manifest["graphs"]:
            raise UserError(
                f"{bundle} has no {name}, which the page writes and suggests with: it holds no generator, or was "
                "exported by an older version of gdflow. Export it again."
            )
    kind = json.loads((bundle / "tokenizer_config.json").read_text("utf-8"))["kind"]
    if kind == "pretrained":
        raise UserError(
            f"{bundle} has a pretrained model's own tokenizer, which the page cannot follow exactly; it knows word, "
            "char and bpe. Use `gdflow generate` for this bundle."
        )


def _version(runtime: Path) -> str:
    """The package's version. Raises UserError for a folder that is not that package, or lacks what is needed of it."""
    described = runtime / "package.json"
    about: dict[str, Any] = json.loads(described.read_text("utf-8")) if described.is_file() else {}
    if about.get("name") != PACKAGE:
        raise UserError(
            f"{runtime} is not the npm package {PACKAGE}: expected a folder with its package.json and dist/, for "
            f"example node_modules/{PACKAGE} after npm install {PACKAGE}"
        )
    for name in (SCRIPT, WASM):
        if not (runtime / "dist" / name).is_file():
            raise UserError(
                f"{runtime} (version {about.get('version')}) has no dist/{name}: install a newer version of {PACKAGE}"
            )
    return str(about["version"])


def _copied(files: list[Path], folder: Path) -> int:
    """Copy files into a folder; their size in bytes. Raises UserError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            if path.resolve() != (folder / path.name).resolve():  # the page of a bundle that lies there already
                shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; give --out another name") from error
    return sum(path.stat().st_size for path in files)
