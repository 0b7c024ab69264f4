"""A program in a box: the results of a batch by Python's anthropic SDK, both ways. Prints JSON."""

from __future__ import annotations

import json
import sys

import anthropic

client = anthropic.Anthropic(max_retries=0)
by_path = client.get("/v1/messages/batches/msgbatch_1/results", cast_to=str)
try:
    by_address = [one.custom_id for one in client.messages.batches.results("msgbatch_1")]
except anthropic.APIStatusError as error:
    by_address = [f"{type(error).__name__} {error.status_code}"]
found = [json.loads(line)["custom_id"] for line in by_path.splitlines()]
json.dump({"by path": found, "by address": by_address}, sys.stdout)
