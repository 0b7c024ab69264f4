"""How every plane reads its settings: the prefix, the `*_FILE` variants, and the warning for an unknown name.

The only door to the environment beside the planes' own `settings.py`, which declare the names. Values come
from arguments first, then `AIGW_NAME`, then the file named by `AIGW_NAME_FILE`, then the default.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "AIGW_"
MAX_SECRET_FILE_BYTES: Final = 64 * 1024
_SERVICE_LINKS: Final = ("tcp://", "udp://", "sctp://")
"""The beginnings of the values derived by Kubernetes from Services. Few settings have such a value."""


def _split_at_commas(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
"""Several values in a variable, separated by commas."""


class SettingFileError(ValueError):
    """The file named by an `AIGW_*_FILE` variable cannot be used; says why, never its content."""


class FileVariantSource(PydanticBaseSettingsSource):
    """Reads a field from the file named by `AIGW_<FIELD>_FILE`, without the trailing newline."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Give (value or None, key, whether the value still needs JSON decoding)."""
        name = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(name)  # noqa: TID251  # this is the door
        if not path:
            return None, field_name, False
        return read_setting_file(name, path), field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """Collect the fields that have a file."""
        values: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, key, is_complex = self.get_field_value(field, field_name)
            if value is not None:
                values[key] = self.prepare_field_value(field_name, field, value, is_complex)
        return values


def read_setting_file(name: str, path: str) -> str:
    """Read a small text file for the setting `name`; raises `SettingFileError`."""
    try:
        data = Path(path).read_bytes()
        if len(data) > MAX_SECRET_FILE_BYTES:
            raise SettingFileError(f"{name}: {path} is larger than {MAX_SECRET_FILE_BYTES} bytes")
        return data.decode().rstrip("\r\n")
    except OSError as error:
        raise SettingFileError(f"{name}: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingFileError(f"{name}: {path} is not UTF-8 text") from None


class GatewaySettings(BaseSettings):
    """The base of every plane's settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    ADDRESSES: ClassVar[frozenset[str]] = frozenset()
    """The fields whose own values may begin with `tcp://`."""

    @field_validator("*", mode="before")
    @classmethod
    def _explain_service_links(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse the variables put into pods by Kubernetes for a Service with a setting's name."""
        is_address = info.field_name in cls.ADDRESSES
        if not is_address and isinstance(value, str) and value.startswith(_SERVICE_LINKS):
            raise ValueError(
                "Kubernetes set this variable to the address of a Service with the same name; set "
                "enableServiceLinks: false in the pod, or give the Service another name"
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # part of the hook's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then `*_FILE`; no dotenv file is ever picked up by surprise."""
        return (init_settings, env_settings, FileVariantSource(settings_cls))


def read_again(name: str) -> str | None:
    """Read the setting `name` (lower case, without prefix) once more, where a file holds it; else None.

    Raises:
        SettingFileError: the file cannot be read any more.
    """
    variable = f"{PREFIX}{name.upper()}"
    path = None if variable in os.environ else os.environ.get(f"{variable}_FILE")  # noqa: TID251  # this is the door
    return read_setting_file(f"{variable}_FILE", path) if path else None


def unknown_names(
    classes: Iterable[type[GatewaySettings]], environ: Mapping[str, str] | None = None
) -> list[str]:
    """Give a warning sentence for every `AIGW_*` variable unknown to all settings classes."""
    present = os.environ if environ is None else environ  # noqa: TID251  # this is the door
    known = {f"{PREFIX}{field.upper()}" for cls in classes for field in cls.model_fields}
    known |= {f"{name}_FILE" for name in known}
    warnings = []
    for name in sorted(present):
        if not name.startswith(PREFIX) or name in known:
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        warnings.append(f"{name} is not a setting of the gateway{hint}")
    return warnings


def source_of(name: str, environ: Mapping[str, str] | None = None) -> str:
    """Tell where the setting `name` (lower case, without prefix) comes from: env, file or default."""
    present = os.environ if environ is None else environ  # noqa: TID251  # this is the door
    variable = f"{PREFIX}{name.upper()}"
    if variable in present:
        return variable
    if present.get(f"{variable}_FILE"):  # an empty one names no file, as in FileVariantSource
        return f"{variable}_FILE"
    return "default"
