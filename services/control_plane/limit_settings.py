"""The settings of what one person, one org and the platform may ask of a control plane, and who is asking."""

from __future__ import annotations

from ipaddress import ip_network

from pydantic import Field, field_validator

from services.control_plane.fair_share.shares import ShareSizes
from shared.settings_base import GatewaySettings, Texts


class LimitSettings(GatewaySettings):
    """Limits that each control-plane process counts by itself."""

    person_changes_per_minute: int = Field(
        default=120,
        ge=1,
        description="How many changes one person may ask for in a minute, in all orgs together. Each process "
        "counts by itself, as for the six limits below.",
    )
    org_changes_per_minute: int = Field(
        default=60, ge=1, description="How many changes all owners of one org may ask for in a minute."
    )
    platform_changes_per_minute: int = Field(
        default=600,
        ge=1,
        description="How many changes of one org and its members the platform may ask for in a minute.",
    )
    person_key_tests_per_minute: int = Field(
        default=20, ge=1, description="How many key tests one person may ask for in a minute."
    )
    org_key_tests_per_minute: int = Field(
        default=20, ge=1, description="How many key tests all owners of one org may ask for in a minute."
    )
    person_reads_per_minute: int = Field(
        default=3000,
        ge=1,
        description="How many reads one person may ask for in a minute, in all orgs together; a page of a "
        "list counts as one more for every 20 items.",
    )
    org_reads_per_minute: int = Field(
        default=12000,
        ge=1,
        description="How many reads the pages of one org's history and members may cost in a minute, for all "
        "members together.",
    )
    trusted_proxies: Texts = Field(
        (),
        description="Addresses and networks (CIDR) of the proxies in front of the Portal. Their "
        "X-Forwarded-For, read from its end, and X-Forwarded-Proto are believed. Empty: all visitors behind "
        "one proxy share one limit on sign-ins.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            try:
                network = ip_network(value)
            except ValueError:
                raise ValueError(
                    "a trusted proxy is an address or a network without host bits, as 10.0.0.5 or 10.0.0.0/16"
                ) from None
            if network.prefixlen == 0:
                raise ValueError("every address would be trusted: anybody could claim any address")
        return values

    @property
    def share_sizes(self) -> ShareSizes:
        """The limits as the control plane counts them."""
        return ShareSizes(
            person_changes=self.person_changes_per_minute,
            org_changes=self.org_changes_per_minute,
            platform_changes=self.platform_changes_per_minute,
            person_key_tests=self.person_key_tests_per_minute,
            org_key_tests=self.org_key_tests_per_minute,
            person_reads=self.person_reads_per_minute,
            org_reads=self.org_reads_per_minute,
        )
