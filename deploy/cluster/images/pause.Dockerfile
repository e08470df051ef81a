# Holds the namespaces of a pod. containerd ends it with SIGKILL, so it needs to handle no signal.
ARG BASE=node:20-bookworm-slim
FROM ${BASE}
ENTRYPOINT ["sleep", "infinity"]
