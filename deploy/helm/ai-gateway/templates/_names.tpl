{{/* Names, labels and the image: what every object of the chart has in common. */}}

{{- define "aigw.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "aigw.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "aigw.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that select pods. Call with (list $ "data-plane"). */}}
{{- define "aigw.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "aigw.name" $ | quote }}
app.kubernetes.io/instance: {{ $.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Metadata of an object. Call with (dict "root" $ "component" "data-plane" "name" "…" "labels" … "annotations" …). */}}
{{- define "aigw.metadata" -}}
{{- $ := .root -}}
name: {{ .name | quote }}
namespace: {{ $.Release.Namespace | quote }}
labels:
  {{- include "aigw.selector" (list $ .component) | nindent 2 }}
  app.kubernetes.io/version: {{ $.Values.image.tag | default $.Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
  app.kubernetes.io/part-of: ai-gateway
  app.kubernetes.io/managed-by: {{ $.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" $.Chart.Name ($.Chart.Version | replace "+" "_") }}
  {{- with mergeOverwrite (deepCopy $.Values.commonLabels) (deepCopy (.labels | default dict)) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (deepCopy $.Values.commonAnnotations) (deepCopy (.annotations | default dict)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "aigw.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "aigw.pullSecrets" -}}
{{- with concat (.Values.global.imagePullSecrets | default list) .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name | quote }}{{ else }}{{ . | quote }}{{ end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Name of a plane's ServiceAccount. Call with (list $ "control-plane"). */}}
{{- define "aigw.serviceAccount" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{- $wanted := ternary $.Values.serviceAccounts.controlPlane $.Values.serviceAccounts.dataPlane (eq $component "control-plane") -}}
{{- if $wanted -}}
{{- $wanted -}}
{{- else -}}
{{- ternary (printf "%s-%s" (include "aigw.fullname" $) $component) "default" $.Values.serviceAccounts.create -}}
{{- end -}}
{{- end -}}

{{/* Whether planes of their own are installed: "yes" or nothing. */}}
{{- define "aigw.planes" -}}
{{- if and .Values.enabled (not .Values.dev.enabled) -}}yes{{- end -}}
{{- end -}}

{{- define "aigw.hasControlPlane" -}}
{{- if and (include "aigw.planes" .) .Values.controlPlane.enabled -}}yes{{- end -}}
{{- end -}}

{{- define "aigw.hasDataPlane" -}}
{{- if and (include "aigw.planes" .) .Values.dataPlane.enabled -}}yes{{- end -}}
{{- end -}}

{{/* Seconds of grace of a pod. Call with (list plane 45): the second is what a stop takes beside draining. */}}
{{- define "aigw.graceSeconds" -}}
{{- $plane := index . 0 -}}
{{- if kindIs "invalid" $plane.terminationGraceSeconds -}}
{{- add (int $plane.preStopSeconds) (int $plane.drainSeconds) (index . 1) -}}
{{- else -}}
{{- int $plane.terminationGraceSeconds -}}
{{- end -}}
{{- end -}}

{{/* Host of the Portal, without scheme. */}}
{{- define "aigw.portalHost" -}}
{{- .Values.controlPlane.portalOrigin | trimPrefix "https://" | trimPrefix "http://" | splitList ":" | first -}}
{{- end -}}
