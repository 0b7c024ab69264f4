"""The results of an Anthropic batch: the SDKs fetch an absolute address; the documented way round works."""

from __future__ import annotations

import json
import sys

import pytest

from tests.clients.box import Box
from tests.clients.installed import node_program, program
from tests.clients.provider_answers import anthropic_answer
from tests.support.answers import json_answer, whole
from tests.support.scripted_upstream import Answer, ReceivedRequest, ScriptedUpstream

pytestmark = pytest.mark.xdist_group("real clients")
BATCH = "/v1/messages/batches/msgbatch_1"
RESULTS = b"".join(
    json.dumps({"custom_id": name, "result": {"type": "canceled"}}).encode() + b"\n" for name in ("a", "b")
)


def refuse(_: ReceivedRequest) -> Answer:
    error = {"type": "authentication_error", "message": "invalid x-api-key"}
    return json_answer({"type": "error", "error": error}, status="401 Unauthorized")


@pytest.mark.parametrize("language", ["Python", "Node"])
async def test_the_results_of_a_batch_come_by_their_path_and_not_by_the_address_in_the_answer(
    box: Box, anthropic_provider: ScriptedUpstream, language: str
) -> None:
    await box.set_up()
    command = [sys.executable, program("batch_results.py")]
    if language == "Node":
        command = node_program("batch_results.mjs")
    async with ScriptedUpstream(respond=refuse) as anthropics_own:
        batch = {
            "id": "msgbatch_1",
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": "2026-11-01T00:00:00Z",
            "expires_at": "2026-11-02T00:00:00Z",
            "results_url": f"{anthropics_own.origin}{BATCH}/results",
        }

        def respond(request: ReceivedRequest) -> Answer:
            path = request.target.decode().removeprefix("/base")
            if path == BATCH:
                return json_answer(batch)
            return whole(RESULTS) if path == f"{BATCH}/results" else anthropic_answer(request)

        anthropic_provider.respond = respond
        found = (await box.run(*command)).json()
    assert found == {"by path": ["a", "b"], "by address": ["AuthenticationError 401"]}
    # The address in the answer leads past the gateway, with the placeholder as the key.
    (astray,) = anthropics_own.requests
    assert astray.credentials == [b"run9-placeholder"]
    assert all(one.credentials != [b"run9-placeholder"] for one in anthropic_provider.requests)
