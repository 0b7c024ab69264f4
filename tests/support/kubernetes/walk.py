"""What the platform, an owner and a box do with an installation of the chart, until an answer streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aigw.embedded.banner import OWNER
from tests.support.kubernetes.backends import OPENAI_KEY

if TYPE_CHECKING:
    from tests.support.kubernetes.backends import Backends
    from tests.support.kubernetes.release import Release


def streams(backends: Backends, release: Release, *, platform_token: str = "") -> None:
    """Provision an org as the platform and its owner do, then stream as a box of the org."""
    provision(backends, release, platform_token=platform_token)
    seen = backends.as_box(stream(backends, release))
    assert seen["status"] == 200, seen
    assert seen["done"], seen
    assert seen["pieces"] > 3, "the answer came in one piece"


def provision(backends: Backends, release: Release, *, platform_token: str = "") -> None:
    """Provision the org of a release with its owner, a node and a key, until every data plane has the key."""
    done = backends.as_box(
        {
            "do": "provision",
            "rest": f"http://{release.service('control-plane')}:9900/api/v1",
            "org": release.org,
            "owner": OWNER,
            "platform_token": platform_token or backends.tokens["platform-token"],
            "owner_token": backends.owner_token(),
            "node_key": backends.node_key.public_text,
            "key": OPENAI_KEY,
            "endpoint": "https://provider.backends.svc/v1",
        }
    )
    assert done["status"] == 200, done
    assert json.loads(done["text"])["live"] > 0, done


def stream(backends: Backends, release: Release) -> dict[str, Any]:
    """Give what `Backends.as_box` takes to stream as a box of the org."""
    token = backends.box_token(release.org)
    return {"do": "stream", "host": release.service("data-plane"), "port": 1000, "box_token": token}
