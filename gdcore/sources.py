"""What a stage's result depends on in the code: the modules it names and all they import, transitively.

Read with `ast`, never imported. Only first-party modules count; plug-ins, which are imported by name at run time, are
named by the caller: so editing an objective makes fine-tuning new and leaves pretraining as it is.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("gdcore", "tasks", "flows")


def source_digest(modules: Iterable[str]) -> str:
    """sha256 over the sources of `modules` with all they import."""
    named = {name: _path(name) for name in source_modules(modules)}
    sha = hashlib.sha256()
    for name, path in sorted(named.items()):
        sha.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return sha.hexdigest()


def source_modules(modules: Iterable[str]) -> list[str]:
    """`modules` and every first-party module they import, directly or not, with the packages on the way; sorted.

    Raises ModuleNotFoundError for a name that is no module: a misspelt one would silently weaken the recipe.
    """
    waiting = list(modules)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        path = _path(name)
        waiting += _imports(name, path, path.stat().st_mtime_ns)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    return sorted(found)


@lru_cache(maxsize=1024)
def _imports(module: str, path: Path, mtime_ns: int) -> tuple[str, ...]:
    """The modules of the same distribution that one source file imports, anywhere in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = [name for node in ast.walk(ast.parse(path.read_bytes())) for name in _named(node, package)]
    return tuple(name for name in names if _exists(name))


def _named(node: ast.AST, package: str) -> Iterator[str]:
    """What an import statement may refer to; `from a import b` names `a` and perhaps the module `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        above = parts[: len(parts) + 1 - node.level] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _exists(name: str) -> bool:
    if name.partition(".")[0] not in PACKAGES:
        return False
    try:
        _path(name)
    except ModuleNotFoundError:
        return False
    return True


def _path(name: str) -> Path:
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    raise ModuleNotFoundError(f"no source of module {name!r} under {ROOT}")
