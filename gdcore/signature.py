"""Who made a bundle: `manifest.json.sig`, an Ed25519 signature of the bytes of `manifest.json`.

Signing the manifest suffices, for it holds the digest of every other file. The signature lies beside it and is the 64
bytes themselves, so that `openssl pkeyutl -verify -rawin` checks it as well. Needs the extra `sign`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdcore.errors import UserError
from gdcore.serving.manifest import NAME, SIGNATURE, read_manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NUM_BYTES = 64


def sign(bundle: Path, key: Path) -> Path:
    """Sign a bundle with a private key (PEM, PKCS#8) and return the signature's path.

    Raises UserError for a damaged bundle, which is never signed, and for a file that is no such key.
    """
    private = _private(key)
    read_manifest(bundle)
    path, draft = bundle / SIGNATURE, bundle / f".{SIGNATURE}.draft"
    draft.write_bytes(private.sign((bundle / NAME).read_bytes()))
    os.replace(draft, path)
    return path


def check(bundle: Path, public_key: Path) -> None:
    """Hold a bundle's manifest to its signature. Raises UserError where it has none, or one by another key.

    It says nothing of the other files: hold those to the manifest afterwards.
    """
    from cryptography.exceptions import InvalidSignature

    public, path = _public(public_key), bundle / SIGNATURE
    if not path.is_file():
        raise UserError(f"{bundle} is not signed: expected {SIGNATURE}. `gdflow bundle sign` makes it, with the key.")
    if len(signature := path.read_bytes()) != NUM_BYTES:
        raise UserError(f"{path} is no signature: expected {NUM_BYTES} bytes, found {len(signature)}")
    try:
        public.verify(signature, (bundle / NAME).read_bytes())
    except InvalidSignature:
        raise UserError(
            f"{path} does not fit {NAME} and the key {public_key}: the manifest was changed after it was signed, or "
            "another key signed it. Do not use this bundle unless you know why."
        ) from None


def _private(path: Path) -> "Ed25519PrivateKey":
    asymmetric, serialization = _cryptography()
    key = _read(
        path,
        lambda data: serialization.load_pem_private_key(data, None),
        "private",
        "openssl genpkey -algorithm ed25519 -out KEYFILE",
    )
    if not isinstance(key, asymmetric.Ed25519PrivateKey):
        raise UserError(f"{path} is a key of another kind; expected an Ed25519 private key")
    return key


def _public(path: Path) -> "Ed25519PublicKey":
    asymmetric, serialization = _cryptography()
    key = _read(path, serialization.load_pem_public_key, "public", "openssl pkey -in KEYFILE -pubout -out FILE")
    if not isinstance(key, asymmetric.Ed25519PublicKey):
        raise UserError(f"{path} is a key of another kind; expected an Ed25519 public key")
    return key


def _read(path: Path, load: Callable[[bytes], Any], kind: str, command: str) -> Any:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise UserError(f"the {kind} key {path} cannot be read: {error.strerror}. `{command}` makes one.") from None
    except TypeError:  # a key under a passphrase, of which we have none
        raise UserError(f"{path} is encrypted; expected a key that is not: openssl pkey -in {path} -out FILE") from None
    except ValueError:
        raise UserError(f"{path} is no {kind} key in PEM form; `{command}` makes one.") from None


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise UserError(f"signatures need {error.name}: pip install 'gdflow[sign]'") from None
    return ed25519, serialization
