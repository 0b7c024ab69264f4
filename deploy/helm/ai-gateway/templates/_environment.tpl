{{/* Environment, credentials and mounts of the planes: how values become AIGW_* settings. */}}

{{- define "aigw.vaultUrl" -}}
{{- $ := index . 0 -}}
{{- $role := index . 1 -}}
{{- $vault := $.Values.vault -}}
{{- $query := list (printf "auth=%s" $vault.auth) -}}
{{- if ne $vault.auth "token" -}}{{- $query = append $query (printf "role=%s" $role) -}}{{- end -}}
{{- with $vault.authMount -}}{{- $query = append $query (printf "auth_mount=%s" .) -}}{{- end -}}
{{- with $vault.namespace -}}{{- $query = append $query (printf "namespace=%s" .) -}}{{- end -}}
{{- $query = append $query "credential_file=/run/aigw/vault/credential" -}}
{{- if not $vault.tls -}}
{{- $query = append $query "tls=off" -}}
{{- else if or $vault.ca.secret $vault.ca.configMap -}}
{{- $query = append $query "ca_file=/run/aigw/ca/vault.pem" -}}
{{- end -}}
vault://{{ $vault.address }}/{{ $vault.mount }}{{ with $vault.prefix }}/{{ trimAll "/" . }}{{ end }}?{{ join "&" $query }}
{{- end -}}

{{- define "aigw.redisUrl" -}}
{{- $ := index . 0 -}}
{{- $user := index . 1 -}}
{{- $redis := $.Values.redis -}}
{{- $scheme := ternary "rediss" "redis" $redis.tls -}}
{{- if $redis.sentinelService -}}{{- $scheme = printf "%s+sentinel" $scheme -}}{{- end -}}
{{ $scheme }}://{{ with $user }}{{ . }}@{{ end }}{{ $redis.address }}{{ with $redis.sentinelService }}/{{ . }}{{ end }}/{{ int $redis.database }}
{{- if and $redis.tls (or $redis.ca.secret $redis.ca.configMap) }}?ca_file=/run/aigw/ca/redis.pem{{ end -}}
{{- end -}}

{{/* Settings that both planes read. Call with (dict "root" $ "role" … "redisUser" …). */}}
{{- define "aigw.sharedEnvironment" -}}
{{- $ := .root -}}
{{- $providers := $.Values.providers -}}
- {name: AIGW_ENVIRONMENT, value: {{ $.Values.environment }}}
- {name: AIGW_INTERNAL_TOKEN_FILE, value: /run/aigw/tokens/internal-token}
- name: AIGW_SECRET_STORE_URL
  value: {{ include "aigw.vaultUrl" (list $ .role) | quote }}
{{- if $.Values.redis.enabled }}
- name: AIGW_EVENT_BUS_URL
  value: {{ include "aigw.redisUrl" (list $ .redisUser) | quote }}
- {name: AIGW_REDIS_PASSWORD_FILE, value: /run/aigw/redis/password}
- {name: AIGW_FEED_KEY_FILE, value: /run/aigw/tokens/feed-key}
{{- if and $.Values.redis.sentinelService $.Values.redis.sentinelPasswordKey }}
- {name: AIGW_REDIS_SENTINEL_PASSWORD_FILE, value: /run/aigw/redis/sentinel-password}
{{- end }}
{{- end }}
{{- with $providers.addressExceptions }}
- name: AIGW_ENDPOINT_ADDRESS_EXCEPTIONS
  value: {{ join "," . | quote }}
{{- end }}
{{- if $providers.allowPlainHttp }}
- {name: AIGW_ALLOW_PLAIN_HTTP_ENDPOINTS, value: "true"}
{{- end }}
{{- if or $providers.ca.secret $providers.ca.configMap }}
- {name: AIGW_UPSTREAM_CA_FILE, value: /run/aigw/ca/providers.pem}
{{- end }}
{{- with $providers.egressProxy.address }}
- name: AIGW_EGRESS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if $providers.egressProxy.existingSecret }}
- {name: AIGW_EGRESS_PROXY_CREDENTIALS_FILE, value: /run/aigw/egress/credentials}
{{- end }}
{{- end -}}

{{- define "aigw.controlPlaneEnvironment" -}}
{{- $plane := .Values.controlPlane -}}
{{ include "aigw.sharedEnvironment" (dict "root" . "role" .Values.vault.controlPlaneRole "redisUser" .Values.redis.controlPlaneUser) }}
- {name: AIGW_DATABASE_URL_FILE, value: /run/aigw/database/url}
{{- if .Values.tokens.platformKey }}
- {name: AIGW_PLATFORM_TOKEN_FILE, value: /run/aigw/tokens/platform-token}
{{- end }}
- {name: AIGW_FINGERPRINT_KEY_FILE, value: /run/aigw/tokens/fingerprint-key}
- {name: AIGW_CONTROL_PLANE_HOST, value: {{ .Values.listenAddress | quote }}}
- {name: AIGW_CONTROL_PLANE_PORT, value: {{ $plane.ports.rest | quote }}}
- {name: AIGW_INTERNAL_HOST, value: {{ .Values.listenAddress | quote }}}
- {name: AIGW_INTERNAL_PORT, value: {{ $plane.ports.fleet | quote }}}
- {name: AIGW_DRAIN_SECONDS, value: {{ int $plane.drainSeconds | quote }}}
- name: AIGW_BOX_ORIGIN
  value: {{ $plane.boxOrigin | quote }}
{{- with $plane.dataPlaneAdminUrl | default (ternary (printf "http://%s-data-plane-admin:%d" (include "aigw.fullname" .) (int .Values.dataPlane.ports.admin)) "" .Values.dataPlane.enabled) }}
- name: AIGW_DATA_PLANE_ADMIN_URL
  value: {{ . | quote }}
{{- end }}
{{- with $plane.portalOrigin }}
- name: AIGW_PORTAL_ORIGIN
  value: {{ . | quote }}
{{- end }}
{{- with $plane.issuers }}
- name: AIGW_ISSUERS
  value: {{ toJson . | quote }}
{{- end }}
{{- with $plane.oidc.issuer }}
- name: AIGW_OIDC_ISSUER
  value: {{ . | quote }}
- name: AIGW_OIDC_CLIENT_ID
  value: {{ $plane.oidc.clientId | quote }}
{{- end }}
{{- if $plane.oidc.existingSecret }}
- {name: AIGW_OIDC_CLIENT_SECRET_FILE, value: /run/aigw/oidc/client-secret}
{{- end }}
{{- if $plane.oidc.assumeEmailVerified }}
- {name: AIGW_OIDC_ASSUME_EMAIL_VERIFIED, value: "true"}
{{- end }}
{{- with $plane.trustedProxies }}
- name: AIGW_TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- include "aigw.furtherEnvironment" $plane }}
{{- end -}}

{{- define "aigw.dataPlaneEnvironment" -}}
{{- $plane := .Values.dataPlane -}}
{{- $service := printf "%s-data-plane" (include "aigw.fullname" .) -}}
{{- $port := int $plane.service.port -}}
{{- $names := list "10.0.2.2:1000" (printf "127.0.0.1:%d" (int $plane.ports.box)) -}}
{{- range list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (printf "%s.%s.svc.cluster.local" $service .Release.Namespace) -}}
{{- $names = append $names (printf "%s:%d" . $port) -}}
{{- if eq $port 80 }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{ include "aigw.sharedEnvironment" (dict "root" . "role" .Values.vault.dataPlaneRole "redisUser" .Values.redis.dataPlaneUser) }}
- name: AIGW_CONTROL_PLANE_INTERNAL_URL
  value: {{ $plane.controlPlaneUrl | default (printf "http://%s-fleet:%d" (include "aigw.fullname" .) (int .Values.controlPlane.ports.fleet)) | quote }}
{{- if $plane.boxTls.secret }}
- name: AIGW_BOX_LISTENERS
  value: {{ printf "%s+tls://%s:%d" $plane.identity.mode (ternary (printf "[%s]" .Values.listenAddress) .Values.listenAddress (contains ":" .Values.listenAddress)) (int $plane.ports.box) | quote }}
- {name: AIGW_BOX_TLS_CERTIFICATE_FILE, value: /run/aigw/boxes/tls.crt}
- {name: AIGW_BOX_TLS_KEY_FILE, value: /run/aigw/boxes/tls.key}
{{- if or $plane.boxTls.clientCa.secret $plane.boxTls.clientCa.configMap }}
- {name: AIGW_BOX_TLS_CLIENT_CA_FILE, value: /run/aigw/ca/boxes.pem}
{{- end }}
{{- else }}
- {name: AIGW_IDENTITY_MODE, value: {{ $plane.identity.mode }}}
- {name: AIGW_BOX_HOST, value: {{ .Values.listenAddress | quote }}}
- {name: AIGW_BOX_PORT, value: {{ $plane.ports.box | quote }}}
{{- end }}
{{- with .Values.controlPlane.portalOrigin }}
- name: AIGW_PORTAL_ORIGIN
  value: {{ . | quote }}
{{- end }}
- name: AIGW_BOX_AUTHORITIES
  value: {{ concat $names $plane.authorities | uniq | join "," | quote }}
- {name: AIGW_ADMIN_HOST, value: {{ .Values.listenAddress | quote }}}
- {name: AIGW_ADMIN_PORT, value: {{ $plane.ports.admin | quote }}}
- {name: AIGW_DRAIN_SECONDS, value: {{ int $plane.drainSeconds | quote }}}
{{- with $plane.identity.staticOrg }}
- name: AIGW_STATIC_ORG
  value: {{ . | quote }}
{{- end }}
- {name: AIGW_ACCESS_LOG, value: {{ $plane.accessLog | quote }}}
{{- include "aigw.furtherEnvironment" $plane }}
{{- end -}}

{{- define "aigw.furtherEnvironment" -}}
{{- range $name, $value := .settings }}
- name: AIGW_{{ $name }}
  value: {{ ternary (printf "%d" (int64 $value)) (toString $value) (and (kindIs "float64" $value) (eq (floor $value) $value)) | quote }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volume with a plane's credentials and authorities, each key under a fixed name. Call with (list $ "control-plane"). */}}
{{- define "aigw.credentials" -}}
{{- $ := index . 0 -}}
{{- $control := eq (index . 1) "control-plane" -}}
{{- $values := $.Values -}}
- name: credentials
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $values.tokens.existingSecret | quote }}
          items:
            - {key: {{ $values.tokens.internalKey | quote }}, path: tokens/internal-token}
            {{- if $values.redis.enabled }}
            - {key: {{ $values.tokens.feedKey | quote }}, path: tokens/feed-key}
            {{- end }}
            {{- if $control }}
            {{- with $values.tokens.platformKey }}
            - {key: {{ . | quote }}, path: tokens/platform-token}
            {{- end }}
            - {key: {{ $values.tokens.fingerprintKey | quote }}, path: tokens/fingerprint-key}
            {{- end }}
      {{- if $control }}
      - secret:
          name: {{ $values.database.existingSecret | quote }}
          items: [{key: {{ $values.database.urlKey | quote }}, path: database/url}]
      {{- include "aigw.authority" (list $values.database.ca "database") | nindent 6 }}
      {{- if $values.controlPlane.oidc.existingSecret }}
      - secret:
          name: {{ $values.controlPlane.oidc.existingSecret | quote }}
          items: [{key: {{ $values.controlPlane.oidc.clientSecretKey | quote }}, path: oidc/client-secret}]
      {{- end }}
      {{- end }}
      {{- if and (not $control) $values.dataPlane.boxTls.secret }}
      - secret:
          name: {{ $values.dataPlane.boxTls.secret | quote }}
          items: [{key: tls.crt, path: boxes/tls.crt}, {key: tls.key, path: boxes/tls.key}]
      {{- include "aigw.authority" (list $values.dataPlane.boxTls.clientCa "boxes") | nindent 6 }}
      {{- end }}
      {{- if $values.redis.enabled }}
      - secret:
          name: {{ $values.redis.existingSecret | quote }}
          items:
            - {key: {{ ternary $values.redis.controlPlanePasswordKey $values.redis.dataPlanePasswordKey $control | quote }}, path: redis/password}
            {{- if and $values.redis.sentinelService $values.redis.sentinelPasswordKey }}
            - {key: {{ $values.redis.sentinelPasswordKey | quote }}, path: redis/sentinel-password}
            {{- end }}
      {{- include "aigw.authority" (list $values.redis.ca "redis") | nindent 6 }}
      {{- end }}
      {{- if has $values.vault.auth (list "kubernetes" "jwt") }}
      - serviceAccountToken:
          path: vault/credential
          audience: {{ $values.vault.audience | quote }}
          expirationSeconds: {{ int $values.vault.tokenSeconds }}
      {{- else }}
      - secret:
          name: {{ $values.vault.existingSecret | quote }}
          items: [{key: {{ ternary $values.vault.controlPlaneKey $values.vault.dataPlaneKey $control | quote }}, path: vault/credential}]
      {{- end }}
      {{- include "aigw.authority" (list $values.vault.ca "vault") | nindent 6 }}
      {{- include "aigw.authority" (list $values.providers.ca "providers") | nindent 6 }}
      {{- with $values.providers.egressProxy.existingSecret }}
      - secret:
          name: {{ . | quote }}
          items: [{key: {{ $values.providers.egressProxy.key | quote }}, path: egress/credentials}]
      {{- end }}
{{- end -}}

{{- define "aigw.authority" -}}
{{- $ca := index . 0 -}}
{{- with $ca.secret }}
- secret:
    name: {{ . | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca/{{ index $ 1 }}.pem}]
{{- else }}
{{- with $ca.configMap }}
- configMap:
    name: {{ . | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca/{{ index $ 1 }}.pem}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "aigw.nodeAgentEnvironment" -}}
{{- $agent := .Values.nodeAgent -}}
{{- $service := printf "%s-data-plane" (include "aigw.fullname" .) -}}
{{- $scheme := ternary "tls" "tcp" (ne .Values.dataPlane.boxTls.secret "") -}}
{{- $own := printf "%s://%s.%s.svc:%d=http://%s-admin.%s.svc:%d" $scheme $service .Release.Namespace (int .Values.dataPlane.service.port) $service .Release.Namespace (int .Values.dataPlane.ports.admin) -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- {name: AIGW_AGENT_SOCKET, value: /run/agent/agent.sock}
- {name: AIGW_AGENT_FOLDER, value: /var/lib/agent}
- {name: AIGW_AGENT_NODE_KEY_FILE, value: /etc/agent/node.pem}
- {name: AIGW_AGENT_KID, value: $(NODE_NAME)}
- name: AIGW_AGENT_TARGETS
  value: {{ $agent.targets | default (list $own) | join "," | quote }}
- {name: AIGW_AGENT_STOP_SECONDS, value: {{ int $agent.drainSeconds | quote }}}
{{- if or $agent.ca.secret $agent.ca.configMap }}
- {name: AIGW_AGENT_TLS_CA_FILE, value: /run/aigw/ca/agent.pem}
{{- end }}
{{- include "aigw.furtherEnvironment" $agent }}
{{- end -}}
