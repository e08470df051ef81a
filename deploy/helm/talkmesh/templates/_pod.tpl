{{- /* The pod of one service. Argument: dict "root" $ "component" NAME "values" VALUES */ -}}
{{- define "talkmesh.pod" -}}
{{- $root := .root -}}
{{- $name := .component -}}
{{- $values := .values -}}
{{- $model := $root.Values.model -}}
{{- $records := and $root.Values.recordings.claimName (has $name (list "gateway" "webrtc-egress")) -}}
{{- $usesModel := has $name (list "gateway" "score-model" "vae-decode") -}}
{{- $image := include "talkmesh.image" (dict "root" $root "image" $values.image "name" $name) -}}
{{- $hostNetwork := and (include "talkmesh.isMedia" $name) (eq $root.Values.media.mode "hostNetwork") -}}
metadata:
  labels:
    {{- include "talkmesh.labels" . | nindent 4 }}
    talkmesh/serves: "metrics"
    {{- range $key, $value := $values.podLabels }}
    {{ $key }}: {{ $value | quote }}
    {{- end }}
  annotations:
    checksum/nats-users: {{ include "talkmesh.checksumOfNatsUsers" $root | quote }}
    checksum/mesh: {{ include "talkmesh.checksumOfMesh" $root | quote }}
    {{- if eq $name "gateway" }}
    checksum/auth: {{ include "talkmesh.checksumOfAuth" $root | quote }}
    {{- end }}
    {{- range $key, $value := $values.podAnnotations }}
    {{ $key }}: {{ $value | quote }}
    {{- end }}
spec:
  {{- include "talkmesh.podCommon" $root | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "talkmesh.graceSeconds" . }}
  {{- if $hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- range $key, $value := . }}
    {{ $key }}: {{ $value | quote }}
    {{- end }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpread }}
  topologySpreadConstraints:
    {{- range $topologyKey, $spread := . }}
    - topologyKey: {{ $topologyKey | quote }}
      maxSkew: {{ $spread.maxSkew }}
      whenUnsatisfiable: {{ $spread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "talkmesh.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- if and $usesModel (eq $model.source "download") }}
  initContainers:
    - name: download-model
      image: {{ $image | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [node, /scripts/download-model.mjs, {{ $model.url | quote }}, {{ $model.sha256 | quote }}, /models]
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "talkmesh.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: model, mountPath: /models}
        - {name: scripts, mountPath: /scripts, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  containers:
    - name: {{ $name | quote }}
      image: {{ $image | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      env:
        {{- include "talkmesh.env" . | nindent 8 }}
      ports:
        {{- include "talkmesh.containerPorts" . | nindent 8 }}
      startupProbe:
        httpGet: {path: {{ ternary "/livez" "/readyz" (eq $name "gateway") }}, port: admin}
        periodSeconds: 2
        failureThreshold: {{ div (add (int $values.startupSeconds) 1) 2 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if eq $name "gateway" }}
      lifecycle:
        preStop: {sleep: {seconds: {{ include "talkmesh.preStopSeconds" $name }}}}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "talkmesh.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: mesh, mountPath: /etc/talkmesh/mesh, readOnly: true}
        {{- if include "talkmesh.grpcTlsSecret" . }}
        - {name: grpc-tls, mountPath: /etc/talkmesh/grpc-tls, readOnly: true}
        {{- end }}
        {{- if include "talkmesh.natsSecret" $root }}
        - {name: nats-user, mountPath: /etc/talkmesh/nats, readOnly: true}
        {{- end }}
        {{- if $root.Values.nats.tlsSecret }}
        - {name: nats-ca, mountPath: /etc/talkmesh/nats-ca, readOnly: true}
        {{- end }}
        {{- if eq $name "gateway" }}
        - {name: auth, mountPath: /etc/talkmesh/auth, readOnly: true}
        {{- end }}
        {{- if and (include "talkmesh.isMedia" $name) $root.Values.media.iceCredentialSecret }}
        - {name: ice, mountPath: /etc/talkmesh/ice, readOnly: true}
        {{- end }}
        {{- range $mount, $secret := $values.secretMounts }}
        - {name: {{ printf "secret-%s" $mount | quote }}, mountPath: {{ printf "/etc/talkmesh/%s" $mount | quote }}, readOnly: true}
        {{- end }}
        {{- if and $usesModel (ne $model.source "image") }}
        - {name: model, mountPath: /models, readOnly: true}
        {{- end }}
        {{- if $records }}
        - {name: recordings, mountPath: /recordings}
        {{- end }}
        {{- if and $records (eq $name "webrtc-egress") }}
        - {name: recording-key, mountPath: /etc/talkmesh/recording-key, readOnly: true}
        {{- end }}
        {{- if $values.shmSize }}
        - {name: shm, mountPath: /dev/shm}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: mesh
      secret: {secretName: {{ include "talkmesh.meshSecret" $root | quote }}, defaultMode: 0440}
    {{- with include "talkmesh.grpcTlsSecret" . }}
    - name: grpc-tls
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
        items: [{key: ca.crt, path: ca.crt}, {key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
    {{- end }}
    {{- if include "talkmesh.natsSecret" $root }}
    - name: nats-user
      secret:
        secretName: {{ include "talkmesh.natsSecret" $root | quote }}
        defaultMode: 0440
        items: [{key: {{ $name | quote }}, path: password}]
    {{- end }}
    {{- with $root.Values.nats.tlsSecret }}
    - name: nats-ca
      secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
    {{- if eq $name "gateway" }}
    - name: auth
      secret: {secretName: {{ include "talkmesh.authSecret" $root | quote }}, defaultMode: 0440}
    {{- end }}
    {{- if and (include "talkmesh.isMedia" $name) $root.Values.media.iceCredentialSecret }}
    - name: ice
      secret: {secretName: {{ $root.Values.media.iceCredentialSecret | quote }}, defaultMode: 0440}
    {{- end }}
    {{- range $mount, $secret := $values.secretMounts }}
    - name: {{ printf "secret-%s" $mount | quote }}
      secret: {secretName: {{ $secret | quote }}, defaultMode: 0440}
    {{- end }}
    {{- if $usesModel }}
    {{- if eq $model.source "pvc" }}
    - name: model
      persistentVolumeClaim: {claimName: {{ $model.claimName | quote }}, readOnly: true}
    {{- else if eq $model.source "download" }}
    - name: model
      emptyDir: {sizeLimit: {{ $model.sizeLimit | quote }}}
    - name: scripts
      configMap: {name: {{ printf "%s-scripts" (include "talkmesh.fullname" $root) | quote }}}
    {{- end }}
    {{- end }}
    {{- if $records }}
    - name: recordings
      persistentVolumeClaim: {claimName: {{ $root.Values.recordings.claimName | quote }}}
    {{- end }}
    {{- if and $records (eq $name "webrtc-egress") }}
    - name: recording-key
      secret: {secretName: {{ $root.Values.recordings.keySecret | quote }}, defaultMode: 0440}
    {{- end }}
    {{- with $values.shmSize }}
    - name: shm
      emptyDir: {medium: Memory, sizeLimit: {{ . | quote }}}
    {{- end }}
{{- end -}}

{{- define "talkmesh.preStopSeconds" -}}{{- ternary 5 0 (eq . "gateway") -}}{{- end -}}

{{- /* Sessions may go on for the drain deadline. Ending those that are left and releasing everything takes at most 20 seconds more
     (SHUTDOWN_AFTER_DRAIN_MS of the service kit), after the time in which endpoints learn that the pod goes. */ -}}
{{- define "talkmesh.graceSeconds" -}}
{{- $drainMs := .values.config.drainDeadlineMs | int -}}
{{- add (div (add $drainMs 999) 1000) 20 (include "talkmesh.preStopSeconds" .component | int) -}}
{{- end -}}

{{- define "talkmesh.containerPorts" -}}
{{- $ports := include "talkmesh.ports" . | fromJson -}}
- {name: grpc, containerPort: {{ $ports.grpc }}}
- {name: admin, containerPort: {{ $ports.admin }}}
{{- if eq .component "gateway" }}
- {name: http, containerPort: {{ $ports.http }}}
{{- end }}
{{- if and (include "talkmesh.isMedia" .component) (eq .root.Values.media.mode "hostPort") }}
{{- range $port := untilStep (int .values.rtcPorts.min) (add1 .values.rtcPorts.max | int) 1 }}
- {name: {{ printf "rtc-%d" $port | quote }}, containerPort: {{ $port }}, hostPort: {{ $port }}, protocol: UDP}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Environment of a service: what follows from the chart first, then its settings, then `env`. */ -}}
{{- define "talkmesh.env" -}}
{{- $root := .root -}}
{{- $name := .component -}}
{{- $values := .values -}}
{{- $ports := include "talkmesh.ports" . | fromJson -}}
{{- $media := $root.Values.media -}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: TALKMESH_ADVERTISE_HOST, value: $(POD_IP)}
- {name: TALKMESH_GRPC_HOST, value: "0.0.0.0"}
- {name: TALKMESH_GRPC_PORT, value: {{ $ports.grpc | quote }}}
- {name: TALKMESH_GRPC_SECRET_FILE, value: /etc/talkmesh/mesh/secret}
{{- if include "talkmesh.grpcTlsSecret" . }}
- {name: TALKMESH_GRPC_CA_FILE, value: /etc/talkmesh/grpc-tls/ca.crt}
- {name: TALKMESH_GRPC_CERT_FILE, value: /etc/talkmesh/grpc-tls/tls.crt}
- {name: TALKMESH_GRPC_KEY_FILE, value: /etc/talkmesh/grpc-tls/tls.key}
{{- end }}
- {name: TALKMESH_ADMIN_HOST, value: "0.0.0.0"}
- {name: TALKMESH_ADMIN_PORT, value: {{ $ports.admin | quote }}}
- {name: TALKMESH_NATS_REPLICAS, value: {{ int $root.Values.nats.replicas | quote }}}
- {name: TALKMESH_NATS_URL, value: {{ include "talkmesh.natsUrl" $root | quote }}}
{{- if include "talkmesh.natsSecret" $root }}
- {name: TALKMESH_NATS_USER, value: {{ $name | quote }}}
- {name: TALKMESH_NATS_PASSWORD_FILE, value: /etc/talkmesh/nats/password}
{{- end }}
{{- if $root.Values.nats.tlsSecret }}
- {name: TALKMESH_NATS_CA_FILE, value: /etc/talkmesh/nats-ca/ca.crt}
{{- end }}
{{- if has $name (list "gateway" "score-model" "vae-decode") }}
- {name: TALKMESH_MODEL, value: {{ ternary $root.Values.model.path "/models" (eq $root.Values.model.source "image") | quote }}}
- {name: TALKMESH_CHUNK_LATENT_FRAMES, value: {{ int $root.Values.model.chunkLatentFrames | quote }}}
{{- end }}
{{- if eq $name "gateway" }}
- {name: TALKMESH_HTTP_HOST, value: "0.0.0.0"}
- {name: TALKMESH_HTTP_PORT, value: {{ $ports.http | quote }}}
- {name: TALKMESH_API_KEYS_FILE, value: /etc/talkmesh/auth/api-keys}
- {name: TALKMESH_TOKEN_SECRET_FILE, value: /etc/talkmesh/auth/token-secret}
{{- end }}
{{- if include "talkmesh.isMedia" $name }}
{{- with $media.iceUrls }}
- {name: TALKMESH_ICE_URLS, value: {{ join "," . | quote }}}
{{- end }}
{{- with $media.iceUsername }}
- {name: TALKMESH_ICE_USERNAME, value: {{ . | quote }}}
{{- end }}
{{- if $media.iceCredentialSecret }}
- {name: TALKMESH_ICE_CREDENTIAL_FILE, value: /etc/talkmesh/ice/credential}
{{- end }}
{{- if ne $media.mode "turn" }}
- {name: TALKMESH_RTC_PORT_MIN, value: {{ $values.rtcPorts.min | quote }}}
- {name: TALKMESH_RTC_PORT_MAX, value: {{ $values.rtcPorts.max | quote }}}
{{- if $media.advertise }}
- {name: TALKMESH_RTC_ADVERTISE, value: {{ join "," $media.advertise | quote }}}
{{- else }}
- {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
- {name: TALKMESH_RTC_ADVERTISE, value: $(HOST_IP)}
{{- end }}
{{- end }}
{{- end }}
{{- if and $root.Values.recordings.claimName (has $name (list "gateway" "webrtc-egress")) }}
- {name: TALKMESH_RECORDINGS_FOLDER, value: /recordings}
{{- if eq $name "webrtc-egress" }}
- {name: TALKMESH_RECORDING_KEY_FILE, value: /etc/talkmesh/recording-key/key.pem}
{{- end }}
{{- end }}
{{- with $root.Values.telemetry.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: OTEL_SERVICE_NAME, value: {{ $name | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $root.Values.telemetry.traceShare | quote }}}
{{- end }}
{{- range $key, $value := $values.config }}
- {name: {{ printf "TALKMESH_%s" (snakecase $key | upper) | quote }}, value: {{ include "talkmesh.setting" $value | quote }}}
{{- end }}
{{- range $key, $value := $values.env }}
- {name: {{ $key | quote }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "talkmesh.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{- $urls := list -}}
{{- range include "talkmesh.natsHosts" . | fromJsonArray -}}
{{- $urls = append $urls (printf "nats://%s:4222" .) -}}
{{- end -}}
{{- join "," $urls -}}
{{- else -}}{{- .Values.nats.url -}}
{{- end -}}
{{- end -}}

{{- /* Host names of the servers of the chart: of the Service, or with several servers of each pod. */ -}}
{{- define "talkmesh.natsHosts" -}}
{{- $service := printf "%s-nats" (include "talkmesh.fullname" .) -}}
{{- $hosts := list -}}
{{- range until (int .Values.nats.replicas) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s" $service . $service) -}}
{{- end -}}
{{- ternary (list $service) $hosts (eq (int .Values.nats.replicas) 1) | toJson -}}
{{- end -}}
