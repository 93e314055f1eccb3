{{- define "panono-operator.name" -}}
{{- if contains "panono-operator" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-panono-operator" (.Release.Name | trunc 34 | trimSuffix "-") }}{{ end -}}
{{- end }}
{{- define "panono-operator.selector" -}}
app.kubernetes.io/name: panono-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "panono-operator.labels" -}}
{{ include "panono-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
