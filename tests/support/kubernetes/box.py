"""The actions of a test's pod as the platform, an owner and a box, by the standard library alone.

`python -c` runs this module with a JSON document as argument; the last line of the output is JSON again.
"""

from __future__ import annotations

import collections
import http.client
import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

LIVE_SECONDS = 60.0
REACHABLE_SECONDS = 60.0


def call(method: str, url: str, token: str, body: Any = None, head: dict[str, str] | None = None) -> Any:
    """Call the REST interface; give (status, headers, body)."""
    data = None if body is None else json.dumps(body).encode()
    heads = {"authorization": f"Bearer {token}", "content-type": "application/json"} | (head or {})
    request = urllib.request.Request(url, data, heads, method=method)  # the test's own address
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # same
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def provision(do: dict[str, Any]) -> Any:
    """Make the org, its owner and the node, and save a key as the owner."""
    until_reachable(do["rest"])
    steps = [
        ("PUT", f"/orgs/{do['org']}", {"name": do["org"]}),
        ("PUT", f"/orgs/{do['org']}/members/{do['owner']}", {"role": "owner"}),
        ("PUT", "/nodes/n1", {"kid": "n1", "public_key": do["node_key"]}),
    ]
    for method, path, body in steps:
        status, _, text = call(method, do["rest"] + path, do["platform_token"], body)
        if status >= 300:  # what HTTP says
            return {"failed": path, "status": status, "text": text}
    card = f"{do['rest']}/orgs/{do['org']}/ai-integrations/openai"
    _, head, _ = call("GET", card, do["owner_token"])
    etag = {name.lower(): value for name, value in head.items()}.get("etag", "")
    body = {"api_key": do["key"], "endpoint": do["endpoint"], "enabled": True}
    status, _, text = call("PUT", card, do["owner_token"], body, {"if-match": etag})
    return {"status": status, "text": text if status >= 300 else until_live(card, do["owner_token"])}


def until_reachable(url: str) -> None:
    """Wait until a new Service takes connections: the node learns its pods a moment after they are ready."""
    address = urllib.parse.urlsplit(url)
    deadline = time.monotonic() + REACHABLE_SECONDS
    while time.monotonic() < deadline:
        try:
            # A connection begun too early is lost with all its repeats, hence a short time for each.
            socket.create_connection((address.hostname, address.port), timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


def until_live(card: str, token: str) -> str:
    """Wait until every data plane enforces the change; give the last roll-out."""
    deadline = time.monotonic() + LIVE_SECONDS
    while True:
        _, _, text = call("GET", f"{card}/rollout", token)
        rollout = json.loads(text)
        if 0 < rollout["total"] == rollout["live"] or time.monotonic() > deadline:
            return str(text)
        time.sleep(0.2)


def stream(do: dict[str, Any]) -> Any:
    """Stream an answer through the gateway; give its status, its words and its pieces as received."""
    connection = http.client.HTTPConnection(do["host"], do["port"], timeout=60)
    said = {"model": "demo", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    head = {"content-type": "application/json", "x-run9-box-token": do["box_token"]}
    connection.request("POST", "/run9/ai/openai/v1/chat/completions", json.dumps(said), head)
    answer = connection.getresponse()
    pieces = []
    while piece := answer.read1(65_536):
        pieces.append(piece.decode())
    text = "".join(pieces)
    return {"status": answer.status, "pieces": len(pieces), "done": "[DONE]" in text, "text": text[-400:]}


def load(do: dict[str, Any]) -> Any:
    """Stream again and again on new connections from several threads; count the outcomes."""
    counts: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + do["seconds"]

    def run() -> None:
        while time.monotonic() < end:
            try:
                seen = stream(do)
                good = seen["status"] == 200 and seen["done"]  # what HTTP says
                counts["good" if good else f"{seen['status']} {seen['text'][:120]}"] += 1
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                counts[repr(error)[:120]] += 1
            time.sleep(0.02)

    threads = [threading.Thread(target=run) for _ in range(do["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(counts)


def reach(do: dict[str, Any]) -> Any:
    """Try to connect to each address; give the outcome of each."""
    seen = {}
    for name, (host, port) in do["addresses"].items():
        try:
            with socket.create_connection((host, port), timeout=3):
                seen[name] = "open"
        except OSError as error:
            seen[name] = type(error).__name__
    return seen


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    print(json.dumps(globals()[wanted["do"]](wanted)))  # noqa: T201  # the test reads it
