# Stands in for the image of the NATS project on a machine that reaches no image registry.
ARG BASE=node:20-bookworm-slim
FROM ${BASE}
COPY nats-server /usr/local/bin/nats-server
USER 65532:65532
ENTRYPOINT ["nats-server"]
