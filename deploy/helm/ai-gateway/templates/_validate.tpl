{{/* What must not be combined: every fault that the schema cannot see, as a sentence that says what to do. */}}

{{- define "aigw.validate" -}}
{{- $faults := list -}}
{{- range $sentences := list (include "aigw.faultsOfDev" .) (include "aigw.faultsOfBackends" .) (include "aigw.faultsOfPlanes" .) (include "aigw.faultsOfAccess" .) -}}
{{- range splitList "\n" $sentences -}}{{- with trim . -}}{{- $faults = append $faults . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- /* These render parts of the pods, which values with other faults could not. */ -}}
{{- if not $faults -}}
{{- range splitList "\n" (include "aigw.faultsOfPods" .) -}}{{- with trim . -}}{{- $faults = append $faults . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThe values do not fit together:\n  - %s\n" (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}

{{- define "aigw.faultsOfDev" -}}
{{- $dev := .Values.dev -}}
{{- if and $dev.enabled (gt (int $dev.replicas) 1) }}
dev.replicas is {{ $dev.replicas }}, but the pod of dev holds its own database: set dev.replicas to 1, or install the planes with dev.enabled=false.
{{- end }}
{{- if and $dev.enabled (or .Values.ingress.enabled .Values.httpRoute.enabled) }}
dev.enabled listens on the pod's loopback alone: switch ingress.enabled and httpRoute.enabled off, and use kubectl port-forward.
{{- end }}
{{- end -}}

{{- define "aigw.faultsOfBackends" -}}
{{- if and (include "aigw.planes" .) (or .Values.controlPlane.enabled .Values.dataPlane.enabled) -}}
{{- $values := .Values -}}
{{- if not $values.tokens.existingSecret }}
tokens.existingSecret is missing: name the Secret with the planes' tokens (NOTES and docs/helm.md show how to make it), or set dev.enabled=true to try the gateway out.
{{- end }}
{{- if and $values.controlPlane.enabled (not $values.database.existingSecret) }}
database.existingSecret is missing: name the Secret with the URL of the Postgres database.
{{- end }}
{{- if $values.redis.enabled }}
{{- if not $values.redis.address }}
redis.address is missing: give HOST:PORT of Redis or Valkey, or set redis.enabled=false to let data planes poll.
{{- end }}
{{- if not $values.redis.existingSecret }}
redis.existingSecret is missing: name the Secret with the passwords of both users.
{{- end }}
{{- end }}
{{- if not $values.vault.address }}
vault.address is missing: give HOST[:PORT] of Vault or OpenBao.
{{- end }}
{{- if contains "/" ($values.vault.address | default "") }}
vault.address is HOST[:PORT], without a scheme and a path: vault.tls says whether TLS is used.
{{- end }}
{{- if contains "/" ($values.redis.address | default "") }}
redis.address is HOST:PORT, without a scheme and a path: redis.tls says whether TLS is used.
{{- end }}
{{- if ne $values.vault.auth "token" }}
{{- if and $values.controlPlane.enabled (not $values.vault.controlPlaneRole) }}
vault.controlPlaneRole is missing: auth {{ $values.vault.auth }} needs the role that the control plane logs in with.
{{- end }}
{{- if and $values.dataPlane.enabled (not $values.vault.dataPlaneRole) }}
vault.dataPlaneRole is missing: auth {{ $values.vault.auth }} needs the role that the data plane logs in with.
{{- end }}
{{- end }}
{{- if and (has $values.vault.auth (list "approle" "token")) (not $values.vault.existingSecret) }}
vault.existingSecret is missing: auth {{ $values.vault.auth }} needs a Secret with a credential for each plane.
{{- end }}
{{- if and (eq $values.vault.controlPlaneRole $values.vault.dataPlaneRole) (ne $values.vault.auth "token") }}
vault.controlPlaneRole and vault.dataPlaneRole are the same: the control plane must not read keys and the data plane must not write them, so each needs a role of its own.
{{- end }}
{{- range $name, $ca := dict "database" $values.database.ca "redis" $values.redis.ca "vault" $values.vault.ca "providers" $values.providers.ca }}
{{- if and $ca.secret $ca.configMap }}
{{ $name }}.ca names a Secret and a ConfigMap: keep one of them.
{{- end }}
{{- end }}
{{- if eq $values.environment "production" }}
{{- if and (not $values.vault.tls) (not (regexMatch "^(localhost|127\\.[0-9.]+|\\[?::1\\]?)(:|$)" ($values.vault.address | default ""))) }}
vault.tls=false would send keys in clear, which production refuses: switch TLS on, or set environment=development.
{{- end }}
{{- if $values.providers.allowPlainHttp }}
providers.allowPlainHttp would send keys in clear, which production refuses: leave it off, or set environment=development.
{{- end }}
{{- range $name, $url := dict "controlPlane.portalOrigin" $values.controlPlane.portalOrigin "controlPlane.oidc.issuer" $values.controlPlane.oidc.issuer }}
{{- if hasPrefix "http://" ($url | default "") }}
{{ $name }} is a plain http address, which production refuses: use https, or set environment=development.
{{- end }}
{{- end }}
{{- range $values.controlPlane.issuers }}
{{- if hasPrefix "http://" (.jwks_url | default "") }}
controlPlane.issuers fetches keys of {{ .issuer }} by plain http, which production refuses: use an https jwks_url.
{{- end }}
{{- end }}
{{- if eq $values.dataPlane.identity.mode "static" }}
dataPlane.identity.mode=static gives every caller the same org, which production refuses: use header, or set environment=development.
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "aigw.faultsOfPlanes" -}}
{{- if include "aigw.planes" . -}}
{{- $values := .Values -}}
{{- if not (or $values.controlPlane.enabled $values.dataPlane.enabled $values.nodeAgent.enabled) }}
controlPlane.enabled, dataPlane.enabled and nodeAgent.enabled are all false: nothing would be installed.
{{- end }}
{{- if and $values.dataPlane.enabled (not $values.controlPlane.enabled) (not $values.dataPlane.controlPlaneUrl) }}
dataPlane.controlPlaneUrl is missing: without a control plane in this release, give the address of its fleet interface.
{{- end }}
{{- range $name, $plane := dict "controlPlane" $values.controlPlane "dataPlane" $values.dataPlane }}
{{- if $plane.enabled }}
{{- $least := add (int $plane.preStopSeconds) (int $plane.drainSeconds) }}
{{- if not (kindIs "invalid" $plane.terminationGraceSeconds) }}
{{- if le (int $plane.terminationGraceSeconds) (int $least) }}
{{ $name }}.terminationGraceSeconds is {{ int $plane.terminationGraceSeconds }}, but preStopSeconds and drainSeconds take {{ $least }} s: running streams would be killed. Leave it null, or give more than {{ $least }}.
{{- end }}
{{- end }}
{{- $budget := $plane.podDisruptionBudget }}
{{- if $budget.enabled }}
{{- if and (not (kindIs "invalid" $budget.minAvailable)) (not (kindIs "invalid" $budget.maxUnavailable)) }}
{{ $name }}.podDisruptionBudget has minAvailable and maxUnavailable: set one of them to null.
{{- end }}
{{- if and (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) }}
{{ $name }}.podDisruptionBudget has neither minAvailable nor maxUnavailable: give one of them.
{{- end }}
{{- $keda := $plane.keda | default dict }}
{{- $replicas := int (ternary ($plane.autoscaling.minReplicas) $plane.replicas $plane.autoscaling.enabled) }}
{{- if $keda.enabled }}{{ $replicas = int $keda.minReplicas }}{{ end }}
{{- range $key, $share := pick $budget "minAvailable" "maxUnavailable" }}
{{- if and (kindIs "string" $share) (not (regexMatch "^0*(100|[0-9]{1,2})%$" $share)) }}
{{ $name }}.podDisruptionBudget.{{ $key }} is {{ $share }}: Kubernetes refuses more than 100%. Give a smaller share, or a number of pods.
{{- end }}
{{- end }}
{{- if and (not (kindIs "string" $budget.minAvailable)) (not (kindIs "invalid" $budget.minAvailable)) (ne ($plane.kind | default "") "DaemonSet") }}
{{- if ge (int $budget.minAvailable) $replicas }}
{{ $name }}.podDisruptionBudget.minAvailable is {{ int $budget.minAvailable }} of {{ $replicas }} replicas: no node could ever be drained. Give less than {{ $replicas }}.
{{- end }}
{{- end }}
{{- if or (eq (toString $budget.maxUnavailable) "0") (regexMatch "^0+%$" (toString $budget.maxUnavailable)) (regexMatch "^0*100%$" (toString $budget.minAvailable)) }}
{{ $name }}.podDisruptionBudget allows no pod to leave: no node could ever be drained. Allow one.
{{- end }}
{{- end }}
{{- if $plane.autoscaling.enabled }}
{{- if gt (int $plane.autoscaling.minReplicas) (int $plane.autoscaling.maxReplicas) }}
{{ $name }}.autoscaling.minReplicas is above maxReplicas.
{{- end }}
{{- if not (or $plane.autoscaling.cpuPercent $plane.autoscaling.openExchanges) }}
{{ $name }}.autoscaling has no metric: give cpuPercent or openExchanges.
{{- end }}
{{- end }}
{{- if eq (int (ternary $plane.ports.rest $plane.ports.box (hasKey $plane.ports "rest"))) (int (ternary $plane.ports.fleet $plane.ports.admin (hasKey $plane.ports "fleet"))) }}
{{ $name }}.ports are the same: each listener needs a port of its own.
{{- end }}
{{- end }}
{{- end }}
{{- $data := $values.dataPlane }}
{{- if and $data.keda.enabled $data.autoscaling.enabled }}
dataPlane.keda.enabled and dataPlane.autoscaling.enabled fight over the replicas: switch one of them off.
{{- end }}
{{- if and $data.keda.enabled (not $data.keda.prometheusAddress) }}
dataPlane.keda.prometheusAddress is missing: KEDA reads open exchanges from Prometheus.
{{- end }}
{{- if and $data.keda.enabled (gt (int $data.keda.minReplicas) (int $data.keda.maxReplicas)) }}
dataPlane.keda.minReplicas is above dataPlane.keda.maxReplicas: KEDA refuses that. Raise the second or lower the first.
{{- end }}
{{- if and $data.keda.enabled (not (or $data.keda.cpuPercent $data.keda.openExchanges)) }}
dataPlane.keda has no trigger: give cpuPercent or openExchanges.
{{- end }}
{{- if and (eq $data.kind "DaemonSet") (or $data.keda.enabled $data.autoscaling.enabled) }}
dataPlane.kind=DaemonSet has one pod on each node: switch dataPlane.autoscaling.enabled and dataPlane.keda.enabled off.
{{- end }}
{{- if and $values.nodeAgent.enabled $data.enabled (ne $data.identity.mode "proxy-tlv") }}
nodeAgent.enabled needs dataPlane.identity.mode=proxy-tlv: node agents prove boxes by the preface of a connection.
{{- end }}
{{- if and $values.nodeAgent.enabled (not $data.enabled) (not $values.nodeAgent.targets) }}
nodeAgent.targets is missing: without data planes in this release, name those that boxes are led to.
{{- end }}
{{- if and (eq $data.identity.mode "static") (not $data.identity.staticOrg) }}
dataPlane.identity.staticOrg is missing: static mode gives every caller that org.
{{- end }}
{{- end -}}
{{- end -}}

{{- define "aigw.faultsOfAccess" -}}
{{- if include "aigw.planes" . -}}
{{- $values := .Values -}}
{{- if and (or $values.ingress.enabled $values.httpRoute.enabled) (not $values.controlPlane.enabled) }}
ingress and httpRoute lead to the control plane, which controlPlane.enabled=false leaves out.
{{- end }}
{{- if and $values.ingress.enabled (not (or $values.ingress.host $values.controlPlane.portalOrigin)) }}
ingress.host is missing: give it, or controlPlane.portalOrigin.
{{- end }}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) }}
httpRoute.parentRefs is missing: name the Gateway that takes the route.
{{- end }}
{{- if and $values.httpRoute.enabled (not (or $values.httpRoute.hostnames $values.controlPlane.portalOrigin)) }}
httpRoute.hostnames is missing: give them, or controlPlane.portalOrigin.
{{- end }}
{{- if and $values.networkPolicy.enabled (or $values.ingress.enabled $values.httpRoute.enabled) (not $values.networkPolicy.portal) }}
networkPolicy.portal is empty: the ingress controller could not reach the Portal. Name its pods or its network.
{{- end }}
{{- if and $values.controlPlane.oidc.issuer (not (and $values.controlPlane.oidc.clientId $values.controlPlane.portalOrigin)) }}
controlPlane.oidc.issuer needs controlPlane.oidc.clientId and controlPlane.portalOrigin beside it.
{{- end }}
{{- if and $values.monitoring.serviceMonitor.enabled $values.monitoring.podMonitor.enabled }}
monitoring.serviceMonitor and monitoring.podMonitor would read every pod twice: switch one of them off.
{{- end }}
{{- end -}}
{{- end -}}

{{/* What the API server refuses, or a scaler cannot read, in pods to which values add something. */}}
{{- define "aigw.faultsOfPods" -}}
{{- if .Values.enabled -}}
{{- $ := . -}}
{{- $values := .Values -}}
{{- $planes := dict -}}
{{- if include "aigw.hasControlPlane" . }}{{ $_ := set $planes "controlPlane" "aigw.controlPlaneEnvironment" }}{{ end -}}
{{- if include "aigw.hasDataPlane" . }}{{ $_ := set $planes "dataPlane" "aigw.dataPlaneEnvironment" }}{{ end -}}
{{- if $values.nodeAgent.enabled }}{{ $_ := set $planes "nodeAgent" "aigw.nodeAgentEnvironment" }}{{ end -}}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/part-of" "app.kubernetes.io/managed-by" "helm.sh/chart" -}}
{{- range $label, $_ := $values.commonLabels }}{{ if has $label $own }}
commonLabels sets {{ $label }}, which the chart sets itself: leave it out.
{{- end }}{{ end }}
{{- range $name, $template := $planes }}
{{- $plane := index $values $name }}
{{- range $label, $_ := $plane.podLabels }}{{ if has $label (slice $own 0 3) }}
{{ $name }}.podLabels sets {{ $label }}, by which the chart finds its pods: leave it out.
{{- end }}{{ end }}
{{- range $label, $_ := ($plane.service | default dict).labels }}{{ if has $label $own }}
{{ $name }}.service.labels sets {{ $label }}, which the chart sets itself: leave it out.
{{- end }}{{ end }}
{{- $seen := dict }}
{{- range fromYamlArray (include $template $) }}
{{- if hasKey $seen .name }}
{{ $name }}.extraEnv names {{ .name }}, which is set already: use the value of the chart or {{ $name }}.settings for it, and name each variable once.
{{- end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- $agent := eq $name "nodeAgent" }}
{{- $volumes := ternary (list "tmp" "authority" "socket" "state" "key" "namespaces") (list "tmp" "credentials") $agent }}
{{- $paths := ternary (list "/tmp" "/run/aigw" "/run/agent" "/var/lib/agent" "/etc/agent" "/run/netns") (list "/tmp" "/run/aigw") $agent }}
{{- range $plane.extraVolumes }}
{{- if has .name $volumes }}
{{ $name }}.extraVolumes names {{ .name }}, which the pod has already: give the volume another name.
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- range $plane.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
{{ $name }}.extraVolumeMounts mounts {{ .name }}, which is no volume of the pod: add it to {{ $name }}.extraVolumes.
{{- end }}
{{- if has .mountPath $paths }}
{{ $name }}.extraVolumeMounts mounts at {{ .mountPath }}, where a volume is already: choose another mountPath.
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- $scaling := $plane.autoscaling | default dict }}
{{- $keda := $plane.keda | default dict }}
{{- if or (and $scaling.enabled $scaling.cpuPercent) (and $keda.enabled $keda.cpuPercent) }}
{{- if not (or (dig "requests" "cpu" "" $plane.resources) (dig "limits" "cpu" "" $plane.resources)) }}
{{ $name }}.resources.requests.cpu is missing: scaling by cpuPercent is by a share of it. Give it, or set cpuPercent to 0.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}
