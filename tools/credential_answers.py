"""Which operations of the pinned SDKs may answer with a credential, and the judgement on each of them.

An operation is suspicious by a field of its answer (a name such as `client_secret`, a sentence such as "treat
as a credential") or by its own documentation. Each is refused by the gateway, or stands here with the reason
why the answer opens nothing. A resource without a judgement is a finding as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from services.data_plane.core.refused import Refused
from services.data_plane.core.refused_routes import RefusedRoutes
from shared.providers import PROVIDERS, ProviderName
from tools.google_operations import google_operations
from tools.sdk_operations import AnswerField, Operation, operations_of

PACKAGES: Final[Mapping[ProviderName, str]] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google-genai",
}
_WALKS: Final[Mapping[ProviderName, Callable[[], list[Operation]]]] = {
    "openai": partial(operations_of, "openai"),
    "anthropic": partial(operations_of, "anthropic"),
    "gemini": google_operations,
}

_NAME: Final = re.compile(
    r"(?:.*_)?(?:secret|token|api_?key|access_?key|private_?key|password|credentials?|authorization|jwt|bearer"
    r"|ticket|otp)(?:_value|_payload)?|.*secret.*|.*apikey.*"
    r"|(?:.*_)?(?:remote|connect|session|upload|download|signed|presigned|enrollment|invite|magic|login)_url",
    re.IGNORECASE,
)
_TEXT: Final = re.compile(
    r"\bsecret|credential|ephemeral|(?:shown|returned|displayed|visible) (?:only )?(?:once|when)"
    r"|only (?:be )?(?:shown|returned|displayed)|anyone who|bearer"
    r"|(?:access|refresh|auth\w*|session|connector) token|api key|password|grants? access|pre-?signed"
    r"|(?<!case-)sensitive",
    re.IGNORECASE,
)
_CARRIER: Final = re.compile(r"value|url|key|link|code")
"""Names without a meaning of their own: the model gives the meaning of such a field."""
_OPERATION: Final = re.compile(
    r"\b(?:mint|reveal|rotate|issue)s?\b|returns? .{0,40}(?:secret|credential|api key|token\b)"
    r"|(?:secret|credential|token|api key) (?:is )?(?:returned|shown)",
    re.IGNORECASE,
)
_WORD_BREAK: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_NOT_A_KEY = "names a stored credential, or tells of one; the credential itself is never answered"
_CALLERS_OWN = "the caller's own value for a third party's server, repeated; no credential of the provider"
_LOGPROB = "a piece of generated text with its probability"
_PAGE = "where the next page of a list begins"
_WIDGET = "shows a map's result in a page; opens nothing of the provider's"
_RESUMES = "resumes one interaction of the same account; opens nothing without a key"
HARMLESS_FIELDS: Final[Mapping[str, str]] = {
    "AgentToolResourceMcp.credential_id": _NOT_A_KEY,
    "PersistedAgentToolResourceMcp.credential_id": _NOT_A_KEY,
    "PersistedMcpTransportResourceHTTP.headers": "the documentation says non-secret headers",
    "BetaContainerNetworkPolicyDomainSecret.domain": _NOT_A_KEY,
    "BetaContainerNetworkPolicyDomainSecret.name": _NOT_A_KEY,
    "BetaContainerNetworkPolicyDomainSecret.value": _CALLERS_OWN,
    "ContainerNetworkPolicyDomainSecret.domain": _NOT_A_KEY,
    "ContainerNetworkPolicyDomainSecret.name": _NOT_A_KEY,
    "ContainerNetworkPolicyDomainSecret.value": _CALLERS_OWN,
    "Mcp.authorization": _CALLERS_OWN,
    "ToolMcp.authorization": _CALLERS_OWN,
    "ChatCompletionTokenLogprob.token": _LOGPROB,
    "Logprob.token": _LOGPROB,
    "LogprobTopLogprob.token": _LOGPROB,
    "TopLogprob.token": _LOGPROB,
    "BrowserAuthenticationRequestItemResourceRequestField.type": "how a form field is drawn",
    "RequiredActionSessionRequiredActionResourceComputerUseApprovalRequestRequestComputerUseApprovalRequest"
    "KindResourceBrowserAuthenticationField.type": "how a form field is drawn",
    "EnvironmentResourceSelfHosted.remote_url": "the address of an environment that the caller hosts; the "
    "documentation names no credential in this address",
    "FineTuningJobWandbIntegration.entity": "the name of a user or team at a third party",
    "BetaManagedAgentsAPIActor.api_key_id": _NOT_A_KEY,
    "BetaManagedAgentsCredentialHostUnreachableErrorObject.credential_id": _NOT_A_KEY,
    "BetaManagedAgentsCredentialHostUnreachableErrorObject.vault_id": _NOT_A_KEY,
    "BetaManagedAgentsDeployment.vault_ids": _NOT_A_KEY,
    "BetaManagedAgentsGitHubRepositoryResourceConfig.url": "the address of the caller's repository",
    "BetaRedactedThinkingBlock.data": "encrypted thinking that only the model reads",
    "RedactedThinkingBlock.data": "encrypted thinking that only the model reads",
    **dict.fromkeys(
        [
            f"{model}.next_page_token"
            for model in (
                *("AgentListResponse", "GetEnvironmentFilesResponse", "ListBatchJobsResponse"),
                *("ListCachedContentsResponse", "ListDocumentsResponse", "ListEnvironmentsResponse"),
                *("ListFileSearchStoresResponse", "ListFilesResponse", "ListModelsResponse"),
                *("ListTriggerExecutionsResponse", "ListTriggersResponse", "ListTuningJobsResponse"),
                "ListVoicesResponse",
            )
        ],
        _PAGE,
    ),
    "ExaAISearchConfig.api_key": _CALLERS_OWN,
    "ParallelAISearchConfig.api_key": _CALLERS_OWN,
    "ToolExaAiSearch.api_key": _CALLERS_OWN,
    "ToolParallelAiSearch.api_key": _CALLERS_OWN,
    "ApiAuthApiKeyConfig.api_key_secret_version": _NOT_A_KEY,
    "ApiKeyConfig.api_key_secret": _NOT_A_KEY,
    "AuthConfig.api_key": _CALLERS_OWN,
    "AuthConfigHttpBasicAuthConfig.credential_secret": _NOT_A_KEY,
    "AuthConfigOauthConfig.access_token": _CALLERS_OWN,
    "AuthConfigOidcConfig.id_token": _CALLERS_OWN,
    "GoogleMapsResult.widget_context_token": _WIDGET,
    "GroundingMetadata.google_maps_widget_context_token": _WIDGET,
    "CreateAgentInteraction.continuation_token": _RESUMES,
    "Interaction.continuation_token": _RESUMES,
    "InteractionSseEventInteraction.continuation_token": _RESUMES,
    "InteractionStatusUpdate.continuation_token": _RESUMES,
    "LogprobsResultCandidate.token": _LOGPROB,
    "VoiceOutput.key": "a voice that a request may name; no credential",
    "BetaRefusalStopDetails.fallback_credit_token": "a discount on one repeated request of the same org, for "
    "five minutes; opens nothing without a key",
}
"""Suspicious fields that open nothing, with the reason."""

HARMLESS_OPERATIONS: Final[Mapping[str, str]] = {
    "POST /responses/input_tokens": "counts tokens",
}
"""Operations whose documentation reads like a credential's, with the reason why there is none."""

REVIEWED: Final[Mapping[ProviderName, frozenset[str]]] = {
    "openai": frozenset(
        [
            "agents",
            "assistants",
            "audio",
            "batches",
            "chat",
            "chatkit",
            "completions",
            "containers",
            "content_provenance_checks",
            "conversations",
            "decisions",
            "embeddings",
            "evals",
            "files",
            "fine_tuning",
            "images",
            "live",
            "models",
            "moderations",
            "organization",
            "projects",
            "realtime",
            "responses",
            "safety",
            "skills",
            "threads",
            "uploads",
            "vaults",
            "vector_stores",
            "videos",
            "webhook_endpoints",
            "webhook_event_types",
        ]
    ),
    "anthropic": frozenset(
        [
            "agents",
            "complete",
            "compliance",
            "deployment_runs",
            "deployments",
            "dreams",
            "environments",
            "files",
            "memory_stores",
            "messages",
            "models",
            "organizations",
            "sessions",
            "skills",
            "tunnels",
            "user_profiles",
            "vaults",
        ]
    ),
    "gemini": frozenset(
        [
            *("agents", "auth_tokens", "batchPredictionJobs", "batches", "cachedContents", "credentials"),
            *("decisions", "environments", "fileSearchStores", "files", "files:register", "interactions"),
            *("operations", "triggers", "tunedModels", "tuningJobs", "upload", "voices", "webhooks"),
            # The rest name a resource by a variable.
            *("{file_search_store_name}:importFile", "{id}", "{models_url}", "{model}", "{name}"),
            *("{model}:asyncBatchEmbedContent", "{model}:batchEmbedContents", "{model}:batchGenerateContent"),
            *("{model}:computeTokens", "{model}:countTokens", "{model}:generateContent", "{model}:predict"),
            *("{model}:predictLongRunning", "{model}:streamGenerateContent", "{name}:cancel"),
            *("{operationName}", "{parent}", "{resourceName}:fetchPredictOperation"),
        ]
    ),
}
"""The resources (first segments) that were read and judged, by hand, for account administration as well."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An operation with its findings.

    Attributes:
        refused: whether the gateway refuses the operation.
        suspicions: the fields, or the operation's own text, that look like a credential.
        unexplained: the suspicions covered by no reason.
    """

    operation: Operation
    refused: bool
    suspicions: tuple[str, ...]
    unexplained: tuple[str, ...]


def judge_all(provider: ProviderName) -> list[Judged]:
    """Judge every operation of the provider's SDK."""
    routes = RefusedRoutes(PROVIDERS[provider])
    return [_judge(operation, routes) for operation in _WALKS[provider]()]


def resources_of(provider: ProviderName) -> frozenset[str]:
    """Give the first segments of the SDK's operations."""
    segments = (operation.path.split("/") for operation in _WALKS[provider]())
    return frozenset(parts[2] if parts[1] == "v1" else parts[1] for parts in segments)


def _judge(operation: Operation, routes: RefusedRoutes) -> Judged:
    suspicions = [field.name for field in sorted(operation.fields) if _is_suspicious(field)]
    unexplained = [name for name in suspicions if name not in HARMLESS_FIELDS]
    name = f"{operation.method} {operation.path}"
    if _OPERATION.search(operation.text):
        suspicions.append(name)
        if name not in HARMLESS_OPERATIONS:
            unexplained.append(name)
    return Judged(operation, _is_refused(operation, routes), tuple(suspicions), tuple(unexplained))


def _is_refused(operation: Operation, routes: RefusedRoutes) -> bool:
    try:
        routes.check(re.sub(r"{[^}]*}", "id", operation.path).encode())
    except Refused:
        return True
    return False


def _is_suspicious(field: AnswerField) -> bool:
    name = field.name.partition(".")[2]
    if _NAME.fullmatch(name) or _TEXT.search(field.text):
        return True
    about_model = _TEXT.search(_WORD_BREAK.sub(" ", field.model_text))
    return _CARRIER.fullmatch(name) is not None and (field.expires or about_model is not None)
