"""The settings of the export to an OpenTelemetry collector, the same for both planes."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from shared.secret import Secret
from shared.settings_base import GatewaySettings, SettingFileError, Texts

SIGNALS: Final = ("traces", "logs")
_HEADER: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256})=([!-~](?:[ -~]{0,4095}[!-~])?)")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def _check_signals(value: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(value) - set(SIGNALS):
        raise ValueError(f"{', '.join(sorted(unknown))}: the signals are {', '.join(SIGNALS)}")
    return value


class OtlpSettings(GatewaySettings):
    """Settings of a plane with an export. Without an endpoint nothing is collected and nothing is sent."""

    otlp_endpoint: str = Field(
        default="",
        max_length=500,
        description="An OpenTelemetry collector that takes OTLP over HTTP (JSON), as https://HOST:4318; "
        "/v1/traces and /v1/logs are put behind it. Empty: nothing is sent.",
    )
    otlp_headers: Secret = Field(
        default_factory=lambda: Secret(""),
        description="Headers for the collector, as NAME=VALUE,NAME=VALUE; not over http:// in production.",
    )
    otlp_signals: Annotated[Texts, AfterValidator(_check_signals)] = Field(
        default=SIGNALS,
        description="The sent signals: traces (a span per request; data planes only), logs (a record per "
        "request, and the audit).",
    )
    otlp_ca_file: Path | None = Field(
        default=None, description="Authorities (PEM) of the collector, in place of the system's."
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_otlp_endpoint(cls, text: str) -> str:
        parts = urlsplit(text)
        is_origin = parts.scheme in {"http", "https"} and parts.hostname and not parts.username
        if text and (not is_origin or parts.query or parts.fragment):
            raise ValueError("the collector is written as https://HOST:PORT; credentials go to otlp_headers")
        return text.rstrip("/")

    @model_validator(mode="after")
    def _check_otlp_headers(self) -> Self:
        parts = urlsplit(self.otlp_endpoint)
        is_production = getattr(self, "environment", "") == "production"
        is_clear = parts.scheme == "http" and parts.hostname not in _LOOPBACK
        if self.collector_headers() and is_clear and is_production:
            raise ValueError("otlp_headers would be sent in clear; refused in production")
        return self

    def sends(self, signal: str) -> bool:
        """Whether this signal is to be sent."""
        return bool(self.otlp_endpoint) and signal in self.otlp_signals

    def collector_headers(self) -> dict[str, str]:
        """Give the headers for the collector; raises `ValueError` without naming their content."""
        entries = [entry.strip() for entry in self.otlp_headers.reveal().split(",") if entry.strip()]
        matches = [_HEADER.fullmatch(entry) for entry in entries]
        if None in matches:
            raise ValueError("otlp_headers: an entry is not NAME=VALUE of visible characters")
        return {match[1].lower(): match[2] for match in matches if match is not None}

    def collector_tls(self) -> ssl.SSLContext:
        """Give the verification of the collector.

        Raises:
            SettingFileError: the file of AIGW_OTLP_CA_FILE cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=self.otlp_ca_file)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingFileError(f"AIGW_OTLP_CA_FILE: it cannot be used ({reason})") from None
