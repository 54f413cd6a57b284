# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from image import bundle, keys, layout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("keys") / "keys"
    keys.make(at)
    return at


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize("root", keys.ROOTS)
def test_a_signer_may_sign_code_and_nothing_else(folder: Path, root: str) -> None:
    signer, issuer = certificate(folder / f"{root}-signer.crt"), certificate(folder / f"{root}.crt")
    signer.verify_directly_issued_by(issuer)
    assert list(signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CODE_SIGNING
    ]
    assert not signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not signer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (authority.ca, authority.path_length) == (True, 0)


def test_one_root_cannot_stand_for_the_other(folder: Path) -> None:
    with pytest.raises(ValueError):
        certificate(folder / "root-1-signer.crt").verify_directly_issued_by(
            certificate(folder / "root-2.crt")
        )


def test_every_box_trusts_both_roots(folder: Path) -> None:
    ring = x509.load_pem_x509_certificates((folder / "keyring.pem").read_bytes())
    assert ring == [certificate(folder / f"{root}.crt") for root in keys.ROOTS]


def test_keys_are_for_their_owner_and_stay(folder: Path) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    keys.make(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.glob("*.key")} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def bundles(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small bundle of each signer, and one of a stranger."""
    if shutil.which("rauc") is None:
        pytest.skip("rauc is only in the Debian 13 root")
    at = tmp_path_factory.mktemp("bundles")
    strangers = at / "strangers"
    keys.make(strangers)
    (at / "work").mkdir()
    for name in ("boot.vfat", "root.img"):
        (at / "work" / name).write_bytes(os.urandom(9 * 4096))
    made = {}
    _may_not_sign_code(folder)
    for name, of, signer in (
        ("root-1", folder, "root-1-signer"),
        ("root-2", folder, "root-2-signer"),
        ("stranger", strangers, "root-1-signer"),
        ("of another purpose", folder, "web-server"),
    ):
        made[name] = at / f"{name}.raucb"
        bundle.write(
            made[name], at / "work/boot.vfat", at / "work/root.img", "1.2.3", of, floor="1.0.0", signer=signer
        )
    return made


def info(of: Path, ring: Path, at: Path) -> subprocess.CompletedProcess[str]:
    # As on the box: what signs updates must be made for signing code.
    (at / "system.conf").write_text(
        f"[system]\ncompatible={layout.COMPATIBLE}\nbootloader=noop\nbundle-formats=verity\n"
        f"[keyring]\npath={ring}\ncheck-purpose=codesign\n"
    )
    return subprocess.run(
        ["rauc", f"--conf={at / 'system.conf'}", "info", "--output-format=json", str(of)],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("root", keys.ROOTS)
def test_rauc_takes_a_bundle_of_either_root(
    bundles: dict[str, Path], folder: Path, tmp_path: Path, root: str
) -> None:
    said = info(bundles[root], folder / "keyring.pem", tmp_path)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert (found["compatible"], found["version"], found["format"]) == (layout.COMPATIBLE, "1.2.3", "verity")


def _may_not_sign_code(folder: Path) -> None:
    """`web-server`: a certificate of root-1 that was made for something else."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = certificate(folder / "root-1.crt")
    authority = serialization.load_pem_private_key((folder / "root-1.key").read_bytes(), None)
    assert isinstance(authority, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web-server")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    (folder / "web-server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "web-server.key").write_bytes(key.private_bytes(*form))


@pytest.mark.parametrize("signer", ["stranger", "of another purpose"])
def test_rauc_refuses_other_signers(
    bundles: dict[str, Path], folder: Path, tmp_path: Path, signer: str
) -> None:
    said = info(bundles[signer], folder / "keyring.pem", tmp_path)
    assert said.returncode != 0
    assert "signature" in said.stderr.lower()


def test_rauc_refuses_a_changed_bundle(bundles: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    changed = bytearray(bundles["root-1"].read_bytes())
    changed[-200] ^= 1
    (tmp_path / "changed.raucb").write_bytes(changed)
    assert info(tmp_path / "changed.raucb", folder / "keyring.pem", tmp_path).returncode != 0
