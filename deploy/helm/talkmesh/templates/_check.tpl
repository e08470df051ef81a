{{- /* Combinations that the schema cannot refuse. */ -}}
{{- define "talkmesh.check" -}}
{{- $v := .Values -}}
{{- if and (not $v.nats.enabled) (not $v.nats.url) -}}
{{- fail "nats.enabled is false: set nats.url to the address of your NATS servers, such as nats://nats.nats:4222" -}}
{{- end -}}
{{- if and $v.recordings.claimName (not $v.recordings.keySecret) -}}
{{- fail "recordings.claimName is set: set recordings.keySecret to a Secret whose key key.pem is the private key that signs manifests" -}}
{{- end -}}
{{- if and (eq $v.model.source "pvc") (not $v.model.claimName) -}}
{{- fail "model.source is pvc: set model.claimName to the claim whose volume holds the model folder" -}}
{{- end -}}
{{- if and (eq $v.model.source "download") (or (not $v.model.url) (not $v.model.sha256)) -}}
{{- fail "model.source is download: set model.url to the folder that holds model.json, and model.sha256 to the checksum of that file" -}}
{{- end -}}
{{- if and (eq $v.media.mode "turn") $v.media.iceUrls (not $v.media.iceCredentialSecret) -}}
{{- range $v.media.iceUrls -}}
{{- if hasPrefix "turn" . -}}
{{- fail "media.iceUrls names a TURN server: set media.iceUsername and media.iceCredentialSecret (a Secret with the key credential)" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.media.mode "hostNetwork") $v.networkPolicy.enabled (not $v.media.nodeCidrs) -}}
{{- fail "media.mode is hostNetwork: NetworkPolicies see these pods as nodes, so set media.nodeCidrs to the address ranges of the nodes, or networkPolicy.enabled to false" -}}
{{- end -}}
{{- range $name, $own := $v.services -}}
{{- $values := include "talkmesh.values" (dict "root" $ "component" $name) | fromJson -}}
{{- if and (eq $name "gateway") (eq $values.autoscaling.kind "keda") -}}
{{- fail "services.gateway.autoscaling.kind can be none or hpa: a gateway holds no sessions, so it scales by CPU" -}}
{{- end -}}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) -}}
{{- fail (printf "services.%s.autoscaling.minReplicas must not be above maxReplicas" $name) -}}
{{- end -}}
{{- if $values.rtcPorts -}}
{{- if gt (int $values.rtcPorts.min) (int $values.rtcPorts.max) -}}
{{- fail (printf "services.%s.rtcPorts.min must not be above max" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (eq (int $values.rollout.maxSurge) 0) (eq (int $values.rollout.maxUnavailable) 0) -}}
{{- fail (printf "services.%s.rollout: maxSurge and maxUnavailable cannot both be 0" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
