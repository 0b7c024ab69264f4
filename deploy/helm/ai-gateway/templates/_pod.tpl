{{/* Pods of the planes: hardening, placement, volumes. */}}

{{/* Security context of a pod. Call with (list overrides ports): a port below 1024 needs a sysctl. */}}
{{- define "aigw.podSecurity" -}}
{{- $base := dict "runAsNonRoot" true "runAsUser" 10001 "runAsGroup" 10001 "fsGroup" 10001 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $lowest := 65536 -}}
{{- range index . 1 -}}{{- if and (gt (int .) 0) (lt (int .) $lowest) -}}{{- $lowest = int . -}}{{- end -}}{{- end -}}
{{- if lt $lowest 1024 -}}
{{- $_ := set $base "sysctls" (list (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" (toString $lowest))) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $base (deepCopy (index . 0))) -}}
{{- end -}}

{{- define "aigw.containerSecurity" -}}
{{- $base := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "privileged" false "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $base (deepCopy .)) -}}
{{- end -}}

{{/* Placement of a plane's pods. Call with (list $ plane "data-plane"). */}}
{{- define "aigw.placement" -}}
{{- $ := index . 0 -}}
{{- $plane := index . 1 -}}
{{- $component := index . 2 -}}
{{- with $plane.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $plane.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $plane.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $plane.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if kindIs "invalid" $plane.topologySpreadConstraints }}
{{- if ne ($plane.kind | default "Deployment") "DaemonSet" }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "aigw.selector" (list $ $component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- else }}
{{- with $plane.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a pod of either plane has beside its containers. Call with (list $ plane "data-plane" ports spareSeconds). */}}
{{- define "aigw.podFields" -}}
{{- $ := index . 0 -}}
{{- $plane := index . 1 -}}
{{- $component := index . 2 -}}
serviceAccountName: {{ include "aigw.serviceAccount" (list $ $component) | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "aigw.graceSeconds" (list $plane (index . 4)) }}
{{- include "aigw.pullSecrets" $ }}
securityContext:
  {{- include "aigw.podSecurity" (list $plane.podSecurityContext (index . 3)) | nindent 2 }}
{{- include "aigw.placement" (list $ $plane $component) }}
volumes:
  {{- include "aigw.credentials" (list $ $component) | nindent 2 }}
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 32Mi}
  {{- with $plane.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What a container of either plane has in common. Call with (list $ plane). */}}
{{- define "aigw.containerFields" -}}
{{- $ := index . 0 -}}
{{- $plane := index . 1 -}}
image: {{ include "aigw.image" $ | quote }}
imagePullPolicy: {{ $.Values.image.pullPolicy }}
securityContext:
  {{- include "aigw.containerSecurity" $plane.securityContext | nindent 2 }}
volumeMounts:
  - {name: credentials, mountPath: /run/aigw, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with $plane.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Probes and the pause before SIGTERM, by the listener that boxes and people do not use. Call with (list port seconds). */}}
{{- define "aigw.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: {{ index . 0 }}}
  periodSeconds: 1
  failureThreshold: 120
livenessProbe:
  httpGet: {path: /livez, port: {{ index . 0 }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ index . 0 }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
lifecycle:
  preStop:
    sleep: {seconds: {{ int (index . 1) }}}
{{- end -}}

{{/* The container that brings the database to the newest schema, or waits until a Job has. Call with (list $ "upgrade"). */}}
{{- define "aigw.migrationContainer" -}}
{{- $ := index . 0 -}}
- name: database-{{ index . 1 }}
  {{- include "aigw.containerFields" (list $ $.Values.controlPlane) | nindent 2 }}
  {{- if eq (index . 1) "upgrade" }}
  args: [db, upgrade]
  {{- else }}
  command: [sh, -c, "until aigw db check; do sleep 2; done"]
  {{- end }}
  env:
    {{- include "aigw.controlPlaneEnvironment" $ | nindent 4 }}
  resources:
    {{- toYaml $.Values.migration.resources | nindent 4 }}
{{- end -}}
