"""The sign-in issuer of an embedded gateway: a key in the data folder, tokens for its owner and member.

Production names an OIDC issuer instead; both are just an entry of the control plane's `issuers` setting.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from aigw.embedded.data_dir import write_private
from aigw.failures import UserError
from shared.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from aigw.embedded.data_dir import DataDir

ISSUER: Final = "https://local-issuer.aigw.invalid"
AUDIENCE: Final = "run9-ai-gateway"
ALGORITHM: Final = "ES256"
TOKEN_LIFE_SECONDS: Final = 12 * 60 * 60
_KEY_FILE: Final = "issuer-key.pem"
_JWKS_FILE: Final = "issuer.jwks.json"


@dataclass(frozen=True, slots=True)
class LocalIssuer:
    """Signs tokens; `jwks_file` holds the keys for verifying the tokens."""

    jwks_file: Path
    _key: ec.EllipticCurvePrivateKey
    _kid: str

    @classmethod
    def open(cls, data: DataDir) -> LocalIssuer:
        """Read the key of the data folder, made on the first start, and write its JWKS beside the key.

        Raises:
            UserError: the key file is damaged.
        """
        key = _read_key(data.kept(_KEY_FILE, _new_key_pem), data.root / _KEY_FILE)
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        kid = f"local-{str(public['x'])[:8]}"
        jwk = public | {"kid": kid, "alg": ALGORITHM, "use": "sig"}
        jwks_file = data.root / _JWKS_FILE
        write_private(jwks_file, json.dumps({"keys": [jwk]}, indent=2).encode())
        return cls(jwks_file, key, kid)

    def mint(self, email: str, name: str, now: float) -> Secret:
        """Sign a token of a person's identity, from `now` (Unix seconds) for twelve hours."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": email,
            "email": email,
            "email_verified": True,
            "name": name,
            "iat": int(now),
            "exp": int(now) + TOKEN_LIFE_SECONDS,
            "jti": secrets.token_hex(16),
        }
        return Secret(jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._kid}))


def _read_key(pem: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UserError(f"{path} is damaged. Remove it: the next start makes a new one.")
    return key


def _new_key_pem() -> str:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()
