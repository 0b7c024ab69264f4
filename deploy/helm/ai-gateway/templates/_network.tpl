{{/* Who may talk to whom, once as data. Two writers turn it into NetworkPolicies and CiliumNetworkPolicies. */}}

{{/*
Rules of a component as JSON: {"ingress": [rule], "egress": [rule]}; a rule has `peers` (in the form of NetworkPolicy;
none: anybody), `ports` (numbers), `protocols`. Call with (list $ "data-plane").
*/}}
{{- define "aigw.flows" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{- $policy := $.Values.networkPolicy -}}
{{- $control := $.Values.controlPlane -}}
{{- $data := $.Values.dataPlane -}}
{{- $tcp := list "TCP" -}}
{{- $controlPods := list (dict "podSelector" (dict "matchLabels" (fromYaml (include "aigw.selector" (list $ "control-plane"))))) -}}
{{- $dataPods := list (dict "podSelector" (dict "matchLabels" (fromYaml (include "aigw.selector" (list $ "data-plane"))))) -}}
{{- $testPods := list -}}
{{- if $.Values.tests.enabled -}}
{{- $testPods = list (dict "podSelector" (dict "matchLabels" (fromYaml (include "aigw.selector" (list $ "test"))))) -}}
{{- end -}}
{{- $dns := dict "peers" $policy.dns "ports" (list 53) "protocols" (list "UDP" "TCP") -}}
{{- $database := dict "peers" $policy.database.to "ports" (list $policy.database.port) "protocols" $tcp -}}
{{- $redis := dict "peers" $policy.redis.to "ports" $policy.redis.ports "protocols" $tcp -}}
{{- $vault := dict "peers" $policy.vault.to "ports" (list $policy.vault.port) "protocols" $tcp -}}
{{- $public := list (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" $policy.providers.except)) (dict "ipBlock" (dict "cidr" "::/0" "except" (list "fc00::/7" "fe80::/10"))) -}}
{{- $providers := list (dict "peers" $public "ports" $policy.providers.ports "protocols" $tcp) -}}
{{- with $policy.providers.to -}}{{- $providers = append $providers (dict "peers" . "ports" list "protocols" $tcp) -}}{{- end -}}
{{- $ingress := list -}}
{{- $egress := list $dns -}}
{{- if eq $component "control-plane" -}}
{{- with concat $policy.portal $testPods -}}
{{- $ingress = append $ingress (dict "peers" . "ports" (list $control.ports.rest) "protocols" $tcp) -}}
{{- end -}}
{{- $ingress = append $ingress (dict "peers" (concat $dataPods $policy.fleet.from $policy.monitoring $testPods) "ports" (list $control.ports.fleet) "protocols" $tcp) -}}
{{- $egress = concat (list $dns $database $vault) $providers -}}
{{- if $.Values.redis.enabled -}}{{- $egress = append $egress $redis -}}{{- end -}}
{{- with $policy.issuers -}}{{- $egress = append $egress (dict "peers" . "ports" list "protocols" $tcp) -}}{{- end -}}
{{- $egress = append $egress (dict "peers" $dataPods "ports" (list $data.ports.admin) "protocols" $tcp) -}}
{{- else if eq $component "data-plane" -}}
{{- with concat $policy.boxes $testPods -}}
{{- $ingress = append $ingress (dict "peers" . "ports" (list $data.ports.box) "protocols" $tcp) -}}
{{- end -}}
{{- $ingress = append $ingress (dict "peers" (concat $controlPods $policy.monitoring $testPods) "ports" (list $data.ports.admin) "protocols" $tcp) -}}
{{- $egress = concat (list $dns $vault) $providers -}}
{{- if $.Values.redis.enabled -}}{{- $egress = append $egress $redis -}}{{- end -}}
{{- if $control.enabled -}}
{{- $egress = append $egress (dict "peers" $controlPods "ports" (list $control.ports.fleet) "protocols" $tcp) -}}
{{- else -}}
{{- $egress = append $egress (dict "peers" $policy.fleet.to "ports" (list $policy.fleet.port) "protocols" $tcp) -}}
{{- end -}}
{{- else if eq $component "migration" -}}
{{- $egress = list $dns $database -}}
{{- else if eq $component "dev" -}}
{{- $egress = concat (list $dns) $providers -}}
{{- else if eq $component "test" -}}
{{- $egress = list $dns (dict "peers" $controlPods "ports" (list $control.ports.rest $control.ports.fleet) "protocols" $tcp) (dict "peers" $dataPods "ports" (list $data.ports.box $data.ports.admin) "protocols" $tcp) -}}
{{- end -}}
{{- toJson (dict "ingress" $ingress "egress" $egress) -}}
{{- end -}}

{{/* Components of this release that have pods, as a JSON list. */}}
{{- define "aigw.components" -}}
{{- $found := list -}}
{{- if and .Values.enabled .Values.dev.enabled -}}{{- $found = append $found "dev" -}}{{- end -}}
{{- if include "aigw.hasControlPlane" . -}}
{{- $found = append $found "control-plane" -}}
{{- if has .Values.migration.mode (list "hook" "job") -}}{{- $found = append $found "migration" -}}{{- end -}}
{{- end -}}
{{- if include "aigw.hasDataPlane" . -}}{{- $found = append $found "data-plane" -}}{{- end -}}
{{- if and (or (include "aigw.hasControlPlane" .) (include "aigw.hasDataPlane" .)) .Values.tests.enabled -}}{{- $found = append $found "test" -}}{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Ports of a rule as NetworkPolicy wants them. */}}
{{- define "aigw.policyPorts" -}}
{{- $rule := . -}}
{{- range $port := $rule.ports }}
{{- range $rule.protocols }}
- {port: {{ int $port }}, protocol: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Peers of a rule as Cilium wants them. Call with (list peers "from" | "to"). */}}
{{- define "aigw.ciliumPeers" -}}
{{- $way := index . 1 -}}
{{- $endpoints := list -}}
{{- $networks := list -}}
{{- range index . 0 -}}
{{- if .ipBlock -}}
{{- $network := dict "cidr" .ipBlock.cidr -}}
{{- with .ipBlock.except -}}{{- $_ := set $network "except" . -}}{{- end -}}
{{- $networks = append $networks $network -}}
{{- else -}}
{{- $labels := dict -}}
{{- $selector := dict -}}
{{- if hasKey . "namespaceSelector" -}}
{{- range $key, $value := (.namespaceSelector.matchLabels | default dict) -}}
{{- $_ := set $labels (printf "k8s:io.cilium.k8s.namespace.labels.%s" $key) $value -}}
{{- end -}}
{{- if not .namespaceSelector.matchLabels -}}
{{- $_ := set $selector "matchExpressions" (list (dict "key" "k8s:io.kubernetes.pod.namespace" "operator" "Exists")) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := ((.podSelector | default dict).matchLabels | default dict) -}}
{{- $_ := set $labels (printf "k8s:%s" $key) $value -}}
{{- end -}}
{{- with $labels -}}{{- $_ := set $selector "matchLabels" . -}}{{- end -}}
{{- $endpoints = append $endpoints $selector -}}
{{- end -}}
{{- end -}}
{{- $peers := dict -}}
{{- with $endpoints -}}{{- $_ := set $peers (printf "%sEndpoints" $way) . -}}{{- end -}}
{{- with $networks -}}{{- $_ := set $peers (printf "%sCIDRSet" $way) . -}}{{- end -}}
{{- toJson $peers -}}
{{- end -}}
