"""Reader of the documentation strings of installed packages and of Python's own library: real prose, on any machine.

Sources are parsed (`ast`), never imported. A record is a candidate sentence; what it answers to is in `prose`. Label =
package; group = module, since one module's sentences repeat each other's phrases.
"""

import ast
import gc
import platform
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple

import polars as pl

from gdcore.corpora.prose import candidates, plain
from gdcore.errors import UserError

STDLIB = "stdlib"
TOPICS = "pydoc_data/topics.py"  # the language reference: strings in a table
PRIVATE, PUBLIC = "_", "_core"  # folders that begin so hold what users never read; but NumPy's functions live in _core
# Folders whose documentation is not the package's own, or is about its tests.
SKIPPED = {
    "site-packages", "dist-packages", "test", "tests", "testing", "_test", "_vendor", "vendor", "_vendored", "vendored",
    "third_party", "lib2to3", "__pycache__", "node_modules",
}  # fmt: skip
DOCUMENTING = {"description", "help", "doc", "summary"}  # keywords whose value is documentation
# Modules of which less than this stands in triple quotes are passed over unparsed: they hold a twentieth of the
# sentences and would take a quarter of the time.
MIN_SHARE = 0.1
TRIPLE_QUOTED = re.compile(rb'""".*?"""|\'\'\'.*?\'\'\'', re.DOTALL)
ROWS = 8_000  # candidate sentences in a frame


class Package(NamedTuple):
    """An installed package: its modules stand under `roots`."""

    name: str
    roots: tuple[Path, ...]


def read(names: Sequence[str]) -> Iterator[tuple[pl.DataFrame, int, int]]:
    """Frames of (text, label, group, source, line, reason, markup), modules read, modules in all.

    Raises UserError for a package that is missing or that came without sources.
    """
    modules = [(package.name, source, path) for package in _packages(names) for source, path in _modules(package)]
    rows: list[tuple[str, str, str, int]] = []
    for done, (package, source, path) in enumerate(modules, 1):
        for line, docstring in _documentation(path, source):
            rows += [(sentence, package, source, line) for sentence in candidates(docstring)]
        if rows and (len(rows) >= ROWS or done == len(modules)):
            schema = {"record": pl.String, "label": pl.String, "source": pl.String, "line": pl.UInt32}
            frame = pl.DataFrame(rows, schema, orient="row")
            yield plain(frame).with_columns(group="source"), done, len(modules)
            rows.clear()


def versions(names: Sequence[str]) -> dict[str, str]:
    """Package → version; of its sources' bytes where it has none (a local folder). Raises UserError as `read` does."""
    return {package.name: _version(package) for package in _packages(names)}


def _version(package: Package) -> str:
    if package.name == STDLIB:
        return platform.python_version()
    with suppress(PackageNotFoundError):
        return version(package.name)
    if distributions := packages_distributions().get(package.name):  # a second's search, for the few named otherwise
        return version(distributions[0])
    digest = sha256()
    for source, path in _modules(package):
        digest.update(source.encode() + b"\0" + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def _packages(names: Sequence[str]) -> list[Package]:
    """The packages by name, each once; a name that ends in `?` only where it is installed."""
    found: dict[str, Package] = {}
    for given in names:
        name = given.removesuffix("?")
        roots = _roots(name)
        if any(_is_read(path, root) for root in roots for path in _sources(root)):
            found[name] = Package(name, roots)
        elif not given.endswith("?"):
            if roots:
                raise UserError(
                    f"The package {name!r} is installed without its .py sources (looked in {roots[0]}): its "
                    "documentation cannot be read. Install it with sources, or leave it out of "
                    "corpus.docstrings."
                )
            known = sorted({module.name for module in iter_modules() if module.ispkg} | {STDLIB})
            near = get_close_matches(name, known, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise UserError(
                f"No package named {name!r} is installed, so its documentation cannot be read.{hint} Install "
                f"it, leave it out of corpus.docstrings, or write {name + '?'!r} to read it only where it is "
                "installed."
            )
    return list(found.values())


def _roots(name: str) -> tuple[Path, ...]:
    """The folders (or the one file) of a top-level package, found without importing it."""
    if name == STDLIB:
        return (Path(sysconfig.get_paths()["stdlib"]),)
    try:
        spec = find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(Path(location) for location in spec.submodule_search_locations)
    return (Path(spec.origin),) if spec.has_location and spec.origin and spec.origin.endswith(".py") else ()


def _modules(package: Package) -> Iterator[tuple[str, Path]]:
    """(path below the place it is installed in, path) of each module, sorted."""
    for root in package.roots:
        base = root if package.name == STDLIB else root.parent
        for path in sorted(path for path in _sources(root) if _is_read(path, root)):
            yield path.relative_to(base).as_posix(), path


def _sources(root: Path) -> Iterable[Path]:
    return [root] if root.is_file() else root.rglob("*.py")


def _is_read(path: Path, root: Path) -> bool:
    """Does a source hold documentation that users read?"""
    folders = path.relative_to(root).parts[:-1]
    private = any(folder.startswith(PRIVATE) and folder != PUBLIC for folder in folders)
    return SKIPPED.isdisjoint(folders) and not private and not path.name.startswith(("test_", "conftest"))


def _documentation(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """(line, string) of each documentation string of a module; none if it is not Python of this version."""
    data = path.read_bytes()
    if source != TOPICS and sum(len(match[0]) for match in TRIPLE_QUOTED.finditer(data)) < MIN_SHARE * len(data):
        return
    collecting = gc.isenabled()
    gc.disable()  # a syntax tree is a million objects and no cycle: collecting costs a third of the time
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in other people's strings
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    finally:
        if collecting:
            gc.enable()
    for constant in _strings(tree) if source == TOPICS else _documented(tree.body):
        if isinstance(constant.value, str):
            yield constant.lineno, constant.value


def _documented(body: Sequence[ast.stmt]) -> Iterator[ast.Constant]:
    """Strings that stand as statements (docstrings of modules, classes, functions and attributes), are handed to a
    function that documents (`add_docstr(…, "…")`), or describe an argument (`Doc("…")`, `help="…"`)."""
    for node in body:
        match node:
            case ast.Expr(value=ast.Constant() as constant):
                yield constant
            case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call) if _documents(call):
                yield from _strings(call)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                    if argument.annotation is not None:
                        yield from _described(argument.annotation)
                yield from _documented(node.body)
            case ast.AnnAssign():
                yield from _described(node.annotation)
                if node.value is not None:
                    yield from _described(node.value)
            case ast.Assign(value=ast.Call() as call):
                yield from _described(call)
            case _:
                for name in ("body", "orelse", "finalbody"):
                    yield from _documented(getattr(node, name, ()))


def _described(node: ast.expr) -> Iterator[ast.Constant]:
    """The documentation in an annotation or a call."""
    if isinstance(node, ast.Subscript):
        yield from _described(node.slice)
    elif isinstance(node, ast.Tuple):
        for item in node.elts:
            yield from _described(item)
    elif isinstance(node, ast.Call):
        if _name(node.func) == "Doc":
            yield from _strings(node)
        for keyword in node.keywords:
            if keyword.arg in DOCUMENTING and isinstance(keyword.value, ast.Constant):
                yield keyword.value


def _strings(node: ast.AST) -> Iterator[ast.Constant]:
    """The string constants under a node that are long enough to hold a sentence."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and " " in inner.value:
            yield inner


def _documents(call: ast.Call) -> bool:
    return "doc" in _name(call.func).lower()


def _name(function: ast.expr) -> str:
    """`f` for both `f(…)` and `module.f(…)`."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
