{{/* Parts that several templates share: names, labels, how a pod reaches Kafka and as whom. */}}

{{- define "kae.labels" -}}
app.kubernetes.io/name: kae
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "kae.image" -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end -}}
kae-{{ .role }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "kae.user" -}}
{{ .root.Release.Name }}-{{ .role }}
{{- end }}

{{/* What every pod of kae's is: nobody special, on a file system that it cannot write. */}}
{{- define "kae.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kae.container" -}}
image: {{ include "kae.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: KAE_TOPOLOGY, value: /etc/kae/topology/topology.yaml}
  - {name: KAE_KAFKA_USERNAME, value: {{ include "kae.user" (dict "root" .root "role" .user) }}}
{{- with .root.Values.snapshots.environment }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .root.Values.traces.environment }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}

{{- define "kae.mounts" -}}
- {name: topology, mountPath: /etc/kae/topology, readOnly: true}
- {name: cluster-ca, mountPath: /etc/kae/cluster-ca, readOnly: true}
- {name: user, mountPath: /etc/kae/user, readOnly: true}
- {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "kae.volumes" -}}
- name: topology
  configMap: {name: {{ .root.Release.Name }}-topology}
- name: cluster-ca
  secret:
    secretName: {{ .root.Values.kafka.cluster }}-cluster-ca-cert
    items: [{key: ca.crt, path: ca.crt}]
- name: user
  secret:
    secretName: {{ include "kae.user" (dict "root" .root "role" .user) }}
    items: [{key: password, path: password}]
- name: scratch
  emptyDir: {}
{{- end }}

{{/* Pods of one role on different machines and zones, as far as there are any. */}}
{{- define "kae.spread" -}}
{{- range $topology := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $topology }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
{{ include "kae.labels" $ | indent 6 }}
{{- end }}
{{- end }}
