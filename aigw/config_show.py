"""The table printed by `aigw config show`: every setting of every plane, its value and its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ValidationError

from aigw.failures import lines_of
from aigw.redacted_url import redacted
from aigw.rest_client.settings import ClientSettings
from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from services.node_agent.settings import NodeAgentSettings
from shared.secret import Secret
from shared.settings_base import PREFIX, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.settings_base import GatewaySettings

SETTINGS: Final[dict[str, type[GatewaySettings]]] = {
    "Control plane": ControlPlaneSettings,
    "Data plane": DataPlaneSettings,
    "Node agent": NodeAgentSettings,
    "REST commands": ClientSettings,
}
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """The settings of a plane in their present state.

    Attributes:
        plane: the plane's title.
        rows: (name, value, source) of each setting; empty where the plane cannot start.
        faults: a sentence for each reason why the plane cannot start.
    """

    plane: str
    rows: Sequence[Row] = ()
    faults: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        """Give the values for programs."""
        settings = [{"name": name, "value": value, "source": source} for name, value, source in self.rows]
        return {"plane": self.plane, "settings": settings, "faults": list(self.faults)}


def settings_of_planes() -> list[PlaneSettings]:
    """Read the settings of every plane.

    The node agent is there where one of its variables is set: most hosts of the planes run no agent.
    """
    return [
        _settings_of(title, cls)
        for title, cls in SETTINGS.items()
        if cls is not NodeAgentSettings or _is_set_up(cls)
    ]


def table(planes: Sequence[PlaneSettings]) -> str:
    """Write the settings for people."""
    blocks = []
    for plane in planes:
        lines = [*_aligned(plane.rows), *(f"cannot start: {fault}" for fault in plane.faults)]
        blocks.append("\n".join([plane.plane, *(f"  {line}" for line in lines)]))
    return "\n\n".join(blocks)


def _settings_of(title: str, cls: type[GatewaySettings]) -> PlaneSettings:
    try:
        return PlaneSettings(title, rows=list(_rows(cls())))
    except ValidationError as error:
        return PlaneSettings(title, faults=list(lines_of(error)))


def _is_set_up(cls: type[GatewaySettings]) -> bool:
    return any(source_of(name) != "default" for name in cls.model_fields)


def _rows(settings: GatewaySettings) -> Iterator[Row]:
    for name in type(settings).model_fields:
        yield f"{PREFIX}{name.upper()}", _shown(getattr(settings, name)), source_of(name)


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}" for name, value, source in rows]


def _shown(value: object) -> str:
    match value:
        case Secret():
            return "(set, hidden)" if value else "(not set)"
        case None | "" | () | []:
            return "(not set)"
        case bool():
            return str(value).lower()
        case tuple() | list():
            return ",".join(map(_shown, value))
        case BaseModel():
            return " ".join(f"{name}={_shown(part)}" for name, part in value if part is not None)
        case _:
            return redacted(str(value))
