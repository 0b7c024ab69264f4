"""The header contract, name by name: which headers go to the provider and which come back to the box."""

from __future__ import annotations

import pytest

from services.data_plane.core.field_lines import PASS
from services.data_plane.core.header_rules import request_rule, response_rule

TO_PROVIDER_DROPPED = (
    *("authorization", "x-api-key", "api-key", "proxy-authorization", "cookie"),
    *("openai-organization", "openai-project", "forwarded", "via", "host"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-anything"),
    *("connection", "keep-alive", "proxy-connection", "te", "upgrade"),
    *("x-run9-org", "x-run9-box-token", "x-run9-error"),
    *("x-goog-api-key", "x-litellm-api-key", "ocp-apim-subscription-key", "apikey", "x-apikey", "api-token"),
    *(
        "x-auth-token",
        "x-access-token",
        "authorization-token",
        "x-original-authorization",
        "token",
        "x-token",
    ),
    *("cf-aig-authorization", "cf-access-client-id", "cf-access-client-secret", "cf-access-token"),
    *(
        "x-portkey-api-key",
        "x-portkey-virtual-key",
        "helicone-auth",
        "x-amz-security-token",
        "x-functions-key",
    ),
    *("x-serverless-authorization", "x-goog-iam-authorization-token", "x-goog-authenticated-user-email"),
    *(
        "x-vercel-oidc-token",
        "x-azure-api-key",
        "x-master-key",
        "x-client-secret",
        "cookie2",
        "x-jwt-assertion",
    ),
    *(
        "anthropic-workspace-id",
        "anthropic-organization-id",
        "anthropic-organization",
        "anthropic-project-id",
    ),
    *("openai-organization-id", "openai-project-id", "openai-workspace-id", "chatgpt-account-id"),
    *("x-goog-user-project", "x-openai-organization", "x-organization-id", "x-tenant-id"),
    *("x-original-url", "x-original-uri", "x-original-path", "x-original-method", "x-rewrite-url"),
    *(
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-envoy-original-path",
        "x-override-url",
    ),
    *("x-http-path-override", "x-request-uri", "x-accel-redirect", "x-sendfile", "x-host", "x-proxy-url"),
    *("x-real-ip", "x-client-ip", "true-client-ip", "client-ip", "cf-connecting-ip", "cf-connecting-ipv6"),
    *("x-cluster-client-ip", "fastly-client-ip", "x-originating-ip", "x-remote-ip", "x-remote-addr"),
    *("cf-pseudo-ipv4", "cf-ipcountry", "x-azure-clientip", "x-appengine-user-ip", "x-proxyuser-ip"),
    *("wl-proxy-client-ip", "x-envoy-external-address", "x-forward-for", "x-forwarded", "forwarded-for"),
    *("cloudfront-viewer-address", "cdn-loop", "origin"),
    *("traceparent", "tracestate", "baggage"),
    *("x_api_key", "content_length", "transfer_encoding", "anthropic_version", "_"),
)
TO_PROVIDER_KEPT = (
    *("anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"),
    *("x-stainless-lang", "x-stainless-retry-count", "x-codex-turn-metadata", "accept-encoding"),
    *("content-type", "content-length", "transfer-encoding", "content-encoding", "user-agent", "accept"),
    *("openai-beta", "idempotency-key", "x-client-request-id", "expect", "trailer", "x-user-agent"),
    *("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "x-never-seen-before"),
    *("x-run9", "xrun9-org", "session_id", "conversation_id", "x-session-id", "x-goog-api-client"),
    *(
        "content-range",
        "x-upload-content-length",
        "cf-aig-cache-ttl",
        "sec-fetch-mode",
    ),
    *(
        "openai-safety-identifier",
        "x-openai-subagent",
        "anthropic-client-version",
        "x-claude-code-session-id",
    ),
    *("x-amzn-trace-id", "x-tokens", "x-max-tokens", "x-author", "authority", "x-importance", "x-region"),
)
TO_BOX_DROPPED = (
    *("connection", "keep-alive", "proxy-connection", "te", "upgrade", "proxy-authenticate"),
    *("set-cookie", "set-cookie2", "alt-svc", "strict-transport-security", "report-to", "nel"),
    *("openai-organization", "openai-project", "anthropic-organization-id"),
    *("x-run9-error", "x-run9-error-source"),
)
TO_BOX_KEPT = (
    *("x-request-id", "request-id", "x-ratelimit-remaining-requests", "anthropic-ratelimit-tokens-reset"),
    *("retry-after", "retry-after-ms", "x-should-retry", "content-encoding", "content-type"),
    *("content-length", "transfer-encoding", "openai-processing-ms", "openai-version", "cf-ray", "server"),
    *("sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions", "x_with_underscore"),
)


@pytest.mark.parametrize("name", TO_PROVIDER_DROPPED)
def test_a_request_header_that_must_not_pass_is_dropped(name: str) -> None:
    assert not request_rule(name.encode()) & PASS


@pytest.mark.parametrize("name", TO_PROVIDER_KEPT)
def test_any_other_request_header_passes(name: str) -> None:
    assert request_rule(name.encode()) & PASS


@pytest.mark.parametrize("name", TO_BOX_DROPPED)
def test_an_answers_header_that_must_not_pass_is_dropped(name: str) -> None:
    assert not response_rule(name.encode()) & PASS


@pytest.mark.parametrize("name", TO_BOX_KEPT)
def test_any_other_header_of_an_answer_passes(name: str) -> None:
    assert response_rule(name.encode()) & PASS
