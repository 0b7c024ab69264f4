"""The user's choice for a provider's card on an embedded gateway: the demo, or a real endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigw.demo.provider.app import demo_endpoint
from aigw.failures import UserError
from shared.endpoint import EndpointError, parse_endpoint
from shared.providers import PROVIDERS
from shared.secret import Secret
from shared.settings_base import read_setting_file

if TYPE_CHECKING:
    from pathlib import Path

    from aigw.demo.provider.app import DemoKeys
    from shared.providers import Provider, ProviderName


@dataclass(frozen=True, slots=True)
class Wanted:
    """A provider's endpoint and key. `is_demo`: this program chose them, not the user."""

    provider: ProviderName
    endpoint: str
    key: Secret
    is_demo: bool

    @classmethod
    def demo(cls, row: Provider, origin: str, keys: DemoKeys) -> Wanted:
        """Choose the demo provider at `origin`."""
        return cls(row.name, demo_endpoint(origin, row), keys[row.name], is_demo=True)

    @classmethod
    def of(cls, provider: ProviderName, endpoint: str | None, key_file: Path | None) -> Wanted | None:
        """Read the options; None stands for the demo provider. Raises `UserError`, `SettingFileError`."""
        if key_file is None:
            if endpoint is not None:
                raise UserError(f"--{provider}-endpoint needs the key: add --{provider}-key-file FILE.")
            return None
        try:
            target = str(parse_endpoint(endpoint or PROVIDERS[provider].default_endpoint))
        except EndpointError as error:
            raise UserError(f"--{provider}-endpoint: {error}") from None
        text = read_setting_file(f"--{provider}-key-file", str(key_file)).strip()
        if not text:
            raise UserError(f"--{provider}-key-file: {key_file} is empty.")
        return cls(provider, target, Secret(text), is_demo=False)
