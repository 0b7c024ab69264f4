"""The ready file: everything needed to use an embedded gateway from scripts, written once everything serves.

The file holds tokens, so only its owner may read the file, and the file appears whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aigw.embedded.data_dir import write_private
from aigw.failures import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything by which a running gateway is used.

    Tokens stand in clear here: never log or print this object.

    Attributes:
        portal_sign_in_url, portal_member_sign_in_url: sign the owner, or the member, in once.
        base_urls: the values of `OPENAI_BASE_URL` and `ANTHROPIC_BASE_URL` on this machine, by provider.
        data_dir, ready_file: the data folder, and where this very file is.
        node_key_file, node_kid: in header mode, the arguments for `aigw box-token`; else None.
    """

    portal_url: str
    control_plane_url: str
    admin_url: str
    org: str
    owner_token: str
    member_token: str
    platform_token: str
    base_urls: dict[str, str]
    node_key_file: str | None = None
    node_kid: str | None = None
    portal_sign_in_url: str = ""
    portal_member_sign_in_url: str = ""
    data_dir: str = ""
    ready_file: str = ""

    def __repr__(self) -> str:
        return f"Ready(org={self.org!r}, control_plane_url={self.control_plane_url!r})"


def write(path: Path, ready: Ready) -> None:
    """Write the file atomically; raises `UserError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(ready), indent=2).encode() + b"\n")
    except OSError as error:
        raise UserError(f"The ready file {path} cannot be written ({error.strerror}).") from None
