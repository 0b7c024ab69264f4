"""The planes as processes of their own, set up by `AIGW_*` variables: they meet over HTTP alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.answers import json_answer
from tests.support.planes_apart import PlanesApart
from tests.support.polling import eventually
from tests.support.scripted_upstream import ScriptedUpstream

KEY = "sk-key-of-acme-000000001"


async def test_a_key_saved_in_one_process_is_used_by_the_other(tmp_path: Path) -> None:
    planes = PlanesApart.in_folder(tmp_path)
    upstream = ScriptedUpstream(keys=frozenset({KEY.encode()}), respond=lambda _: json_answer({}))
    async with upstream:
        with planes.plane("data-plane") as data_log, planes.plane("control-plane") as control_log:
            async with planes.rest() as control_plane:
                await planes.register_node(control_plane)
                await planes.data_plane_is_ready()
                org = await control_plane.new_org()
                await control_plane.set_up(org, "openai", KEY, f"{upstream.origin}/v1")
                box = planes.box_token(org)
                url = planes.box_url("openai/v1/models")

                async def reaches_the_provider() -> bool:
                    answer = await control_plane.client.get(url, headers={"X-Run9-Box-Token": box})
                    return answer.status_code == 200

                await eventually(reaches_the_provider, "the call passes")
            await asyncio.to_thread(planes.data.close)
        for log in (data_log, control_log):
            text = log.read_text()
            assert "Traceback" not in text
            assert KEY not in text
            assert str(planes.ports["control_plane_port" if log is control_log else "box_port"]) in text
    assert upstream.requests[0].target == b"/v1/models"
