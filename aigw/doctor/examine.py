"""`aigw doctor`: examines every backend of a plane, in the way of the plane itself, and names the remedies.

The command changes nothing. Each plane's checks lie in a module of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from aigw.doctor.control_plane import examine_control_plane
from aigw.doctor.data_plane import examine_data_plane
from aigw.doctor.finding import Finding
from aigw.failures import lines_of
from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from shared.settings_base import GatewaySettings, SettingFileError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_Settings = TypeVar("_Settings", bound=GatewaySettings)
PlaneChoice = Literal["control", "data", "both"]


async def examine(choice: PlaneChoice) -> list[Finding]:
    """Check the planes named by `choice`, by the settings in the environment."""
    findings: list[Finding] = []
    if choice != "data":
        findings += await _examine("control plane", ControlPlaneSettings, examine_control_plane)
    if choice != "control":
        findings += await _examine("data plane", DataPlaneSettings, examine_data_plane)
    return findings


def is_healthy(findings: list[Finding]) -> bool:
    """Whether nothing failed; a warning is no failure."""
    return all(finding.grade != "FAIL" for finding in findings)


async def _examine(
    title: str, cls: type[_Settings], checks: Callable[[_Settings], Awaitable[list[Finding]]]
) -> list[Finding]:
    try:
        settings = cls()
    except (ValidationError, SettingFileError) as error:
        return [Finding("FAIL", f"{title}: settings", line) for line in lines_of(error)]
    settled = Finding("ok", f"{title}: settings", "they fit together")
    return [settled, *await checks(settings)]
