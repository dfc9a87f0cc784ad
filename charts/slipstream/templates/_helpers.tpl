{{/* The name of everything of this release. */}}
{{- define "slipstream.name" -}}
{{- if contains "slipstream" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-slipstream" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* The same where namespaces do not keep releases of one name apart. */}}
{{- define "slipstream.clusterName" -}}
{{ include "slipstream.name" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "slipstream.selector" -}}
app.kubernetes.io/name: slipstream-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "slipstream.labels" -}}
{{ include "slipstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: slipstream
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* An image by digest where one is given, else by tag. Takes (dict "image" IMAGE "root" $). */}}
{{- define "slipstream.image" -}}
{{- with .root.Values.images.registry }}{{ trimSuffix "/" . }}/{{ end }}
{{- if .image.digest }}{{ .image.repository }}@{{ .image.digest }}{{ else }}{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What a pod and a container need to meet the Pod Security level restricted. */}}
{{- define "slipstream.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "slipstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "slipstream.scheme" -}}
{{- if .Values.metrics.tlsSecret }}https{{ else }}http{{ end }}
{{- end }}

{{/* Peers of a network policy: all pods of the namespaces of Prometheus. */}}
{{- define "slipstream.prometheus" -}}
{{- with .Values.networkPolicy.prometheusNamespaces }}
- namespaceSelector:
    matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end }}

{{/* The operator's rights where it works. */}}
{{- define "slipstream.rules" -}}
{{ .Files.Get "files/rules.yaml" }}
{{- end }}

{{/* The pod of `helm test`; not the operator's labels, or its Service and Deployment would count it in. */}}
{{- define "slipstream.testSelector" -}}
app.kubernetes.io/name: slipstream-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
