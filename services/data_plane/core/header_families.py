"""Families of request headers kept away from providers, each by the pattern of its names.

A list of names is late whenever a gateway, a load balancer or a client invents another name; the patterns
hold the parts common to all names of a family. Names are in lower case.
"""

from __future__ import annotations

import re
from typing import Final

_CREDENTIALS: Final = re.compile(
    rb"""
      (?:.+-)?authorization(?:-.+)?            # authorization, cf-aig-authorization
    | (?:.+-)?api-?key                         # x-api-key, api-key, x-goog-api-key, x-litellm-api-key, apikey
    | (?:.+-)?(?:subscription|access|account|auth|admin|master|virtual|service|secret|functions?)-key
    | (?:.+-)?(?:token|apitoken|authtoken|accesstoken|jwt|jwt-assertion|bearer|secret|password|passwd)
    | (?:.+-)?(?:auth|credentials?|authenticated-user(?:-.+)?)
    | cf-access-client-id | x-ms-token-.+ | x-amz-(?:credential|signature) | x-portkey-config
    """,
    re.VERBOSE,
)
_ACCOUNT_SELECTORS: Final = re.compile(
    rb"""
      (?:x-)?(?:openai|anthropic|chatgpt|claude|codex|goog|google|gemini)-(?:.+-)?
        (?:organi[sz]ation|org|project|workspace|account|tenant|team|customer|billing)(?:-(?:id|uuid|name))?
    | (?:x-)?(?:organi[sz]ation|workspace|tenant|account)-(?:id|uuid)
    """,
    re.VERBOSE,
)
_OVERRIDES: Final = re.compile(
    rb"""
      x-(?:original|rewrite|rewritten|override|overridden|replaced|envoy|accel)-.+
    | (?:x-)?(?:http-)?method(?:-override)?    # x-http-method-override, x-method-override, x-http-method
    | (?:x-)?http-(?:path|url|uri|host|destinationurl|target)(?:-override)?
    | (?:x-)?(?:path|url|uri|host|request-uri|request-url|request-path|target-url|base-url)(?:-override)?
    | (?:x-)?proxy-(?:url|host|path|request-uri) | x-sendfile | x-ms-original-url | x-waws-unencoded-url
    """,
    re.VERBOSE,
)
_ADDRESSES: Final = re.compile(
    rb"""
      x-forward(?:ed)?(?:-.+)? | forwarded-.+ | x-forwarded | forwarded-for | x-via | x-proxyuser-ip
    | (?:.+-)?(?:client|real|remote|user|peer|source|src|origin|originating|original|connecting|socket|viewer
        |external|end-user|caller|cluster)-?(?:ip|ipv4|ipv6|pseudo-ipv4|addr|address|port)
    | (?:x-)?ip(?:-address)? | cf-(?!aig-).+ | cdn-loop | x-azure-.+ | x-appengine-.+ | x-host | x-arr-.+
    """,
    re.VERBOSE,
)


def is_credential(lower: bytes) -> bool:
    """Whether clients, or gateways of other makes, put a key into a header of this name."""
    return _CREDENTIALS.fullmatch(lower) is not None


def is_account_selector(lower: bytes) -> bool:
    """Whether the name chooses the account, organization or project to be billed for a request."""
    return _ACCOUNT_SELECTORS.fullmatch(lower) is not None


def is_dropped_family(lower: bytes) -> bool:
    """Whether the name selects an account, overrides path or method, tells an address, or is ours."""
    return (
        lower.startswith(b"x-run9-")
        or is_account_selector(lower)
        or _OVERRIDES.fullmatch(lower) is not None
        or _ADDRESSES.fullmatch(lower) is not None
    )
