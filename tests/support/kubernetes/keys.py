"""Certificates, tokens and kubeconfigs of the test's Kubernetes node, made anew for each node."""

from __future__ import annotations

import json
import secrets
from typing import Final

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.kubernetes.layout import API_PORT, API_SERVICE_ADDRESS, NAME, NODE_ADDRESS, Layout

USERS: Final = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
}


NODES_API: Final = f"https://{NODE_ADDRESS}:{API_PORT}"


def make_keys(layout: Layout, api: str = NODES_API) -> None:
    """Write all of them below `layout.keys`; the kubeconfigs lead to `api`."""
    folder = layout.keys
    folder.mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    authority.private_key_pem.write_to_path(str(folder / "ca.key"))
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    server = authority.issue_cert("127.0.0.1", API_SERVICE_ADDRESS, NODE_ADDRESS, *names)
    # By a name as well: Go refuses a certificate whose list of names is empty.
    client = authority.issue_cert(
        "kube-apiserver", common_name="kube-apiserver", organization_name="system:masters"
    )
    for name, certificate in (("apiserver", server), ("kubelet-client", client)):
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.crt"))
    _make_signing_key(layout)
    _make_users(layout, api)


def _make_signing_key(layout: Layout) -> None:
    """The key that signs service account tokens, and its public half for Vault."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (layout.keys / "sa.key").write_bytes(private)
    (layout.keys / "sa.pub").write_bytes(public)


def _make_users(layout: Layout, api: str) -> None:
    lines = []
    for file, (user, group) in USERS.items():
        token = secrets.token_hex(16)
        lines.append(f'{token},{user},{user},"{group}"')
        layout.kubeconfig(file).write_text(json.dumps(_kubeconfig(layout, api, token)))
    (layout.keys / "tokens.csv").write_text("\n".join(lines) + "\n")


def _kubeconfig(layout: Layout, api: str, token: str) -> dict[str, object]:
    cluster = {"server": api, "certificate-authority": str(layout.keys / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": "user"}}],
        "current-context": NAME,
    }
