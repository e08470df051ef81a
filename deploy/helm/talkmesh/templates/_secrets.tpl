{{- /* Generated secrets must be the same in every template of one rendering and after every upgrade: they are read from the cluster when they
     exist there, and are kept in .Values once they are made. They begin with a letter, because nats-server reads 1e5 as a number. */ -}}
{{- define "talkmesh.generated" -}}
{{- if not (hasKey .Values "generated") -}}
{{- $name := include "talkmesh.fullname" . -}}
{{- $auth := (lookup "v1" "Secret" .Release.Namespace (printf "%s-auth" $name)).data | default dict -}}
{{- $users := (lookup "v1" "Secret" .Release.Namespace (printf "%s-nats-users" $name)).data | default dict -}}
{{- $made := dict -}}
{{- range $key := list "api-keys" "token-secret" -}}
{{- $_ := set $made $key (ternary (get $auth $key | b64dec) (printf "k%s" (randAlphaNum 47)) (hasKey $auth $key)) -}}
{{- end -}}
{{- range $user := append (keys $.Values.services | sortAlpha) "cluster" -}}
{{- $_ := set $made $user (ternary (get $users $user | b64dec) (printf "p%s" (randAlphaNum 31)) (hasKey $users $user)) -}}
{{- end -}}
{{- $mesh := (lookup "v1" "Secret" .Release.Namespace (printf "%s-mesh" $name)).data | default dict -}}
{{- $_ := set $made "mesh" (ternary (get $mesh "secret" | b64dec) (printf "m%s" (randAlphaNum 47)) (hasKey $mesh "secret")) -}}
{{- $_ := set .Values "generated" $made -}}
{{- end -}}
{{- toJson .Values.generated -}}
{{- end -}}

{{- define "talkmesh.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "talkmesh.fullname" .)) -}}
{{- end -}}

{{- define "talkmesh.meshSecret" -}}
{{- .Values.auth.meshSecret | default (printf "%s-mesh" (include "talkmesh.fullname" .)) -}}
{{- end -}}

{{- /* Secret with the certificate of one service; empty without mutual TLS. Its files are read again when they change, so no checksum restarts pods.
     Argument: dict "root" $ "component" NAME */ -}}
{{- define "talkmesh.grpcTlsSecret" -}}
{{- .root.Values.grpc.tlsSecret | replace "{service}" .component -}}
{{- end -}}

{{- define "talkmesh.natsSecret" -}}
{{- $generated := ternary (printf "%s-nats-users" (include "talkmesh.fullname" .)) "" .Values.nats.enabled -}}
{{- .Values.nats.existingSecret | default $generated -}}
{{- end -}}

{{- /* Pods restart when this changes. A Secret of yours counts with its content where there is a cluster to ask, else with its name.
     Argument: dict "root" $ "name" SECRET "made" (the texts in it, when the chart makes it) */ -}}
{{- define "talkmesh.checksum" -}}
{{- $content := .name -}}
{{- if .made -}}
{{- $content = toJson .made -}}
{{- else -}}
{{- with lookup "v1" "Secret" .root.Release.Namespace .name -}}{{- $content = toJson .data -}}{{- end -}}
{{- end -}}
{{- printf "%s %s" $content .root.Values.auth.rotation | sha256sum -}}
{{- end -}}

{{- define "talkmesh.checksumOfAuth" -}}
{{- $made := list -}}
{{- if not .Values.auth.existingSecret -}}
{{- $generated := include "talkmesh.generated" . | fromJson -}}
{{- $made = list (.Values.auth.apiKeys | default (list (get $generated "api-keys")) | join ",") (get $generated "token-secret") -}}
{{- end -}}
{{- include "talkmesh.checksum" (dict "root" . "name" (include "talkmesh.authSecret" .) "made" $made) -}}
{{- end -}}

{{- define "talkmesh.checksumOfMesh" -}}
{{- $made := list -}}
{{- if not .Values.auth.meshSecret -}}{{- $made = list (get (include "talkmesh.generated" . | fromJson) "mesh") -}}{{- end -}}
{{- include "talkmesh.checksum" (dict "root" . "name" (include "talkmesh.meshSecret" .) "made" $made) -}}
{{- end -}}

{{- define "talkmesh.checksumOfNatsUsers" -}}
{{- $made := list -}}
{{- if and .Values.nats.enabled (not .Values.nats.existingSecret) -}}
{{- $generated := include "talkmesh.generated" . | fromJson -}}
{{- range $user := append (keys .Values.services | sortAlpha) "cluster" -}}{{- $made = append $made (get $generated $user) -}}{{- end -}}
{{- end -}}
{{- include "talkmesh.checksum" (dict "root" . "name" (include "talkmesh.natsSecret" .) "made" $made) -}}
{{- end -}}
