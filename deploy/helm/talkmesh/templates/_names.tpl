{{- /* Service names must begin with a letter and release names need not, so the chart's name comes first. At most 40 characters: suffixes and
     the hashes of controllers must fit into 63. */ -}}
{{- define "talkmesh.fullname" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- $name := ternary $release (printf "talkmesh-%s" $release) (hasPrefix "talkmesh" $release) -}}
{{- $name = default $name .Values.nameOverride -}}
{{- if gt (len $name) 40 -}}
{{- $name = printf "%s-%s" ($name | trunc 31 | trimSuffix "-") ($name | sha256sum | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* Labels that select pods; they never change. Argument: dict "root" $ "component" NAME */ -}}
{{- define "talkmesh.selector" -}}
app.kubernetes.io/name: "talkmesh"
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{- define "talkmesh.labels" -}}
{{ include "talkmesh.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- /* Name and labels of an object. Argument: dict "root" $ "component" NAME */ -}}
{{- define "talkmesh.metadata" -}}
name: {{ printf "%s-%s" (include "talkmesh.fullname" .root) .component | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "talkmesh.labels" . | nindent 2 }}
{{- end -}}

{{- /* Reference of an image; a digest is preferred to a tag. Argument: dict "root" $ "image" IMAGE "name" NAME */ -}}
{{- define "talkmesh.image" -}}
{{- $shared := .root.Values.image -}}
{{- $path := list $shared.registry $shared.repository (default .name .image.name) | compact | join "/" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $path .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (.image.tag | default $shared.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* The value of a setting as text. Numbers go through JSON, because Helm prints large ones as 1e+06. Lists are joined by commas. */ -}}
{{- define "talkmesh.setting" -}}
{{- if kindIs "string" . -}}{{- . -}}
{{- else if kindIs "slice" . -}}{{- join "," . -}}
{{- else -}}{{- toJson . -}}
{{- end -}}
{{- end -}}

{{- /* Values of one service: the defaults with its own over them. Argument: dict "root" $ "component" NAME */ -}}
{{- define "talkmesh.values" -}}
{{- $own := get .root.Values.services .component | default dict -}}
{{- $values := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) -}}
{{- $_ := set $values "config" (mergeOverwrite (deepCopy .root.Values.config) (deepCopy ($own.config | default dict))) -}}
{{- toJson $values -}}
{{- end -}}

{{- define "talkmesh.isMedia" -}}
{{- if has . (list "audio-ingest" "webrtc-egress") -}}yes{{- end -}}
{{- end -}}

{{- /* Ports of a service in a pod. In the network of the node they must differ between services, so there each has its own. */ -}}
{{- define "talkmesh.ports" -}}
{{- $shift := 0 -}}
{{- if and (include "talkmesh.isMedia" .component) (eq .root.Values.media.mode "hostNetwork") -}}
{{- $shift = ternary 100 200 (eq .component "audio-ingest") -}}
{{- end -}}
{{- dict "grpc" (add 9090 $shift) "admin" (add 9091 $shift) "http" 8080 | toJson -}}
{{- end -}}

{{- define "talkmesh.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "talkmesh.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Fields that every pod has. */ -}}
{{- define "talkmesh.podCommon" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "talkmesh.podSecurity" . | nindent 2 }}
{{- end -}}
