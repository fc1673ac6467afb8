"""A store that several machines share: what one has built the others fetch, file by file, and need not build.

It lies wherever fsspec reaches (`s3://bucket/folder`, `gs://…`, a shared folder) and is laid out like a store on disk,
`<kind>/<recipe16>/…files… manifest.json`. An object store has no rename, so the manifest is written last: an artifact
whose manifest is there is whole. Any number of machines may read and write at once: who writes the same recipe writes
the same content. Whoever may write there is trusted as the machine itself is.
"""

import logging
from itertools import filterfalse
from urllib.parse import urlsplit

import fsspec
from pydantic import ValidationError

from gdcore.artifacts import Manifest, Ref, Store, escapes
from gdcore.errors import UserError

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
MARK = "gdflow-store.txt"
"""Written into a new mirror: an object store has no empty folders, and shows so that it can be written to."""


class Mirror:
    """Artifacts under one address."""

    def __init__(self, address: str) -> None:
        """Raises UserError for an address that cannot be used: unknown, or a package or a right is missing."""
        self.address = address
        try:
            self.files, root = fsspec.core.url_to_fs(address)
            self.root = str(root).rstrip("/")
            if not self.files.exists(f"{self.root}/{MARK}"):
                self.files.makedirs(self.root, exist_ok=True)
                self.files.pipe_file(f"{self.root}/{MARK}", b"Artifacts of gdflow, by kind and recipe.\n")
        except Exception as error:  # each kind of store has troubles of its own kinds
            raise UserError(
                f"mirror: {address} cannot be used: {type(error).__name__}: {error}. Expected an address that fsspec "
                "opens, such as s3://bucket/folder (with the extra `s3`; keys and endpoint by AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL), and a place that can be read and written."
            ) from error

    def fetch(self, store: Store, kind: str, recipe: str) -> Ref | None:
        """Copy the artifact of this recipe into a store, every byte held to its digest; None where there is none.

        Call it under the recipe's lock. Raises OSError where the mirror cannot be reached.
        """
        folder = self._folder(kind, recipe)
        if (manifest := self._manifest(folder)) is None:
            return None
        with store.draft(kind, recipe) as draft:
            for name in [*filterfalse(escapes, manifest.files), MANIFEST]:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                self.files.get_file(f"{folder}/{name}", str(draft / name))
            if ref := store.adopt(draft, kind, recipe):
                log.info("%s fetched from %s, %.1f MB", ref.name, self.address, manifest.size / 1e6)
                return ref
        return None

    def share(self, store: Store, ref: Ref) -> None:
        """Copy an artifact here, unless it is here already. Raises OSError where the mirror cannot be written to."""
        folder = self._folder(ref.kind, ref.recipe)
        if self._manifest(folder):
            return
        for name in [*store.manifest(ref).files, MANIFEST]:
            self.files.makedirs(f"{folder}/{name}".rpartition("/")[0], exist_ok=True)
            self.files.put_file(str(store.path(ref) / name), f"{folder}/{name}")

    def _folder(self, kind: str, recipe: str) -> str:
        return f"{self.root}/{kind}/{recipe[:16]}"

    def _manifest(self, folder: str) -> Manifest | None:
        """The manifest of what is whole, asked of the store itself; half a manifest is none."""
        self.files.invalidate_cache()
        try:
            return Manifest.model_validate_json(self.files.cat_file(f"{folder}/{MANIFEST}"))
        except (FileNotFoundError, ValidationError):
            return None


def without_secrets(address: str) -> str:
    """The address itself. Raises ValueError where it holds a name or a password: a run's folder keeps its settings."""
    if urlsplit(address).username is not None:
        raise ValueError(
            "an address with a name or a password in it would be kept in every run's folder: give them by the "
            "environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), the address alone here"
        )
    return address
