#!/bin/sh
# Checks a provider on a machine that has its GPU: `sh test/device/run.sh cuda:0` or `... webgpu`, at most 8 minutes.
# NOT RUN ON A GPU YET: none was at hand. It measures the provider against the processor: parity, times, memory.
set -eu
provider=${1:-cuda:0}
cd "$(dirname "$0")/../.."
echo "== What is installed"
npx --no-install talkmesh doctor --provider "$provider"
echo "== The provider against the processor"
memory() { command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.used,memory.total --format=csv,noheader || true; }
memory
timeout 420 npm run --silent bench -- providers --provider "$provider"
memory
