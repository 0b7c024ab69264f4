"""The security headers of everything served by the Portal: no inline code, no other host."""

from __future__ import annotations

from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    # The pages build elements, never markup; with this a string cannot become markup or code at all.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_TWO_YEARS: Final = "max-age=63072000"


def page_headers(*, secure: bool) -> dict[str, str]:
    """Headers of a page or a step of a sign-in: no cache keeps a copy. `secure`: reached by https."""
    headers = {**_ALWAYS, "cache-control": "no-store"}
    return {**headers, "strict-transport-security": _TWO_YEARS} if secure else headers


def static_headers() -> dict[str, str]:
    """Headers of a file whose address changes with its content: kept for ever."""
    return {**_ALWAYS, "cache-control": "public, max-age=31536000, immutable"}
