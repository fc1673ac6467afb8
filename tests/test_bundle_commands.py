"""`gdflow bundle`: one changed bit in any file is found, whoever looks; a signature holds for all of them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from small_bundle import exported
from typer.testing import CliRunner, Result

from flows.cli import app
from gdcore import signature
from gdcore.errors import UserError
from gdcore.serving.manifest import read_manifest, write_manifest
from gdcore.serving.session import Session

FILES = sorted(path.name for path in (exported() / "bundle").iterdir())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported() / "bundle", tmp_path / "bundle"))


def gdflow(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bundle", *map(str, arguments)])


def flip(path: Path, at: int = -10) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_whole_bundle_is_verified_and_described(bundle: Path) -> None:
    done = gdflow("verify", bundle, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["files"], told["complaints"], told["signature"]) == (len(FILES) - 1, [], "none")
    assert f"{len(FILES) - 1} files" in gdflow("verify", bundle).stdout
    shown = gdflow("--bundle", bundle).stdout
    assert all(name in shown for name in FILES if name != "manifest.json")
    assert "lstm" in shown
    assert "155 tokens" in shown
    assert json.loads(gdflow("--bundle", bundle, "--json").stdout)["license"] == "CC0-1.0"


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_one_bit_changed_in_any_file(bundle: Path, name: str) -> None:
    digest = read_manifest(bundle)["files"][name]["sha256"]
    flip(bundle / name)
    done = gdflow("verify", bundle)
    assert done.exit_code == 1
    assert f"{name}: expected sha256 {digest}, found sha256" in done.output
    with pytest.raises(UserError, match=rf"{name} is damaged: expected sha256 {digest}, found sha256"):
        Session(bundle)


def test_what_is_missing_cut_or_foreign_is_told_together(bundle: Path) -> None:
    (bundle / "parity.json").unlink()
    (bundle / "model.onnx").write_bytes(b"cut")
    (bundle / "notes.txt").write_text("mine")
    done = gdflow("verify", bundle, "--json")
    assert done.exit_code == 1
    found = {each["file"]: each["found"] for each in json.loads(done.stdout)["complaints"]}
    assert found == {"parity.json": "no such file", "model.onnx": "3 bytes", "notes.txt": "a file"}


def test_a_file_that_the_manifest_does_not_list_is_never_opened(tmp_path: Path) -> None:
    plain = Path(shutil.copytree(exported(discriminator=None) / "bundle", tmp_path / "bundle"))
    shutil.copyfile(exported() / "bundle" / "discriminator.onnx", plain / "discriminator.onnx")
    with pytest.raises(UserError, match="has no discriminator"):
        Session(plain).judge(["bal"])
    assert "discriminator.onnx: expected nothing" in gdflow("verify", plain).output


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "..", "a\\b", "C:b", ""])
def test_a_manifest_cannot_point_outside(bundle: Path, name: str) -> None:
    (bundle.parent / "secret").write_text("x")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["parity.json"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="expected names of files in the bundle's own folder"):
        Session(bundle)
    assert gdflow("verify", bundle).exit_code == 2


def test_no_bundle_and_options_that_contradict(tmp_path: Path) -> None:
    assert "is no bundle" in gdflow("verify", "--home", tmp_path).output
    assert "do not go together" in gdflow("verify", tmp_path, "--champion").output
    assert "give --champion too" in gdflow("--name", "other").output


def keys(folder: Path, name: str = "key") -> tuple[Path, Path]:
    """A private and a public key's file."""
    private = ed25519.Ed25519PrivateKey.generate()
    one, other = folder / f"{name}.pem", folder / f"{name}.public.pem"
    plain = serialization.NoEncryption()
    one.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    other.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return one, other


def test_a_signature_holds_for_every_byte(bundle: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    assert "is not signed" in gdflow("verify", bundle, "--public-key", public).output
    assert gdflow("sign", bundle, "--key", private).exit_code == 0
    assert json.loads(gdflow("verify", bundle, "--public-key", public, "--json").stdout)["signature"] == "valid"
    assert json.loads(gdflow("verify", bundle, "--json").stdout)["signature"] == "not checked"
    assert Session(bundle).generate(1), "a signature is in nobody's way"
    _, another = keys(tmp_path, "another")
    assert gdflow("verify", bundle, "--public-key", another).exit_code == 2
    flip(bundle / "model.onnx")
    assert gdflow("verify", bundle, "--public-key", public).exit_code == 1
    flip(bundle / "model.onnx")
    manifest = bundle / "manifest.json"  # one that says the same in other bytes, or something else
    manifest.write_text(manifest.read_text() + " ")
    done = gdflow("verify", bundle, "--public-key", public)
    assert (done.exit_code, "does not fit manifest.json" in done.output) == (2, True)
    assert gdflow("verify", bundle).exit_code == 0, "without the key nobody could know"


def test_a_damaged_bundle_is_not_signed(bundle: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path)
    flip(bundle / "model.onnx")
    assert "model.onnx is damaged" in gdflow("sign", bundle, "--key", private).output
    assert not (bundle / "manifest.json.sig").exists()


def test_keys_that_are_none(bundle: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    signature.sign(bundle, private)
    (tmp_path / "noise.pem").write_bytes(b"-----BEGIN")
    for command, given, words in [
        ("private", tmp_path / "none.pem", "cannot be read: No such file"),
        ("private", tmp_path / "noise.pem", "is no private key in PEM form"),
        ("private", public, "is no private key in PEM form"),
        ("public", tmp_path / "none.pem", "cannot be read: No such file"),
        ("public", private, "is no public key in PEM form"),
    ]:
        with pytest.raises(UserError, match=words):
            signature.sign(bundle, given) if command == "private" else signature.check(bundle, given)
    other = x25519.X25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "x.pem").write_bytes(other.private_bytes(serialization.Encoding.PEM, form, plain))
    with pytest.raises(UserError, match="is a key of another kind"):
        signature.sign(bundle, tmp_path / "x.pem")
    secret = serialization.BestAvailableEncryption(b"word")
    (tmp_path / "s.pem").write_bytes(other.private_bytes(serialization.Encoding.PEM, form, secret))
    with pytest.raises(UserError, match="is encrypted"):
        signature.sign(bundle, tmp_path / "s.pem")
    (bundle / "manifest.json.sig").write_bytes(b"short")
    with pytest.raises(UserError, match="is no signature: expected 64 bytes, found 5"):
        signature.check(bundle, public)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_makes_the_keys_and_checks_the_signature(bundle: Path, tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    for command in (
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    path = signature.sign(bundle, private)
    signature.check(bundle, public)
    check = ["pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", bundle / "manifest.json"]
    subprocess.run(["openssl", *check, "-sigfile", path], check=True, capture_output=True)


def test_a_repository_for_triton(tmp_path: Path) -> None:
    done = gdflow("triton", exported() / "bundle", "--out", tmp_path / "models", "--model-name", "small")
    assert done.exit_code == 0
    assert set(done.stdout.split()) == set(map(str, (tmp_path / "models").iterdir()))
    assert (tmp_path / "models" / "small_generate" / "config.pbtxt").is_file()


def test_a_folder_for_other_programs_is_verified_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    write_manifest(tmp_path, {"layout": "huggingface"})
    assert gdflow("verify", tmp_path).exit_code == 0
    with pytest.raises(UserError, match="in the layout huggingface, for other programs to open; expected the `bundle`"):
        Session(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weighty")
    assert gdflow("verify", tmp_path).exit_code == 1
