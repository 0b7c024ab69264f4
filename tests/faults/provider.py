"""The provider behind the fault tests: names the received key by its label, never by its text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

from tests.support.answers import LAST_CHUNK, chunk_bytes, head_bytes, json_answer
from tests.support.scripted_upstream import Answer, Pause, ReceivedRequest, Send

STREAM_EVENTS: Final = 5
STREAM_PAUSE_SECONDS: Final = 0.06
STREAM_END: Final = "data: [DONE]"


@dataclass(slots=True)
class Keyring:
    """Every key ever given to an org, by text; a label names the key's org and the key's number there."""

    labels: dict[bytes, str] = field(default_factory=dict)

    def new_key(self, org: str) -> tuple[str, str]:
        """Make a key for `org`; give its text and its label, e.g. `org-1#3`."""
        count = sum(label.startswith(f"{org}#") for label in self.labels.values())
        label = f"{org}#{count + 1}"
        key = f"sk-fault-test-{len(self.labels):06d}-{org}"
        self.labels[key.encode()] = label
        return key, label

    def answer(self, request: ReceivedRequest) -> Answer:
        """Answer with the label of the only credential: as events where the body asks so, else as JSON."""
        found = [self.labels.get(credential, "unknown") for credential in request.credentials]
        label = found[0] if len(found) == 1 else "not one credential"
        if request.body and json.loads(request.body).get("stream"):
            return _events(label)
        return json_answer({"key": label})


def _events(label: str) -> Answer:
    fields = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
    steps: list[Send | Pause] = [Send(head_bytes("200 OK", fields))]
    for number in range(STREAM_EVENTS):
        data = json.dumps({"key": label, "number": number})
        steps += [Send(chunk_bytes(f"data: {data}\n\n".encode())), Pause(STREAM_PAUSE_SECONDS)]
    return (*steps, Send(chunk_bytes(f"{STREAM_END}\n\n".encode()) + LAST_CHUNK))
