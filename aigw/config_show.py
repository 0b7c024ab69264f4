"""The table printed by `aigw config show`: every setting of every plane, its value and its source."""

from __future__ import annotations

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


def table() -> tuple[str, bool]:
    """Write the settings in their present state, and tell whether every plane could start with them.

    The node agent is shown where one of its variables is set: most hosts of the planes run no agent.
    """
    blocks, good = [], True
    for title, cls in SETTINGS.items():
        if cls is NodeAgentSettings and not _is_set_up(cls):
            continue
        try:
            lines = _aligned(list(_rows(cls())))
        except ValidationError as error:
            lines = [f"cannot start: {line}" for line in lines_of(error)]
            good = False
        blocks.append("\n".join([title, *(f"  {line}" for line in lines)]))
    return "\n\n".join(blocks), good


def _is_set_up(cls: type[GatewaySettings]) -> bool:
    return any(source_of(name) != "default" for name in cls.model_fields)


def _rows(settings: GatewaySettings) -> Iterator[Row]:
    for name in type(settings).model_fields:
        yield f"{PREFIX}{name.upper()}", _shown(getattr(settings, name)), source_of(name)


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
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
