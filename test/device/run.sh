#!/bin/sh
# Checks a provider on a machine that has its GPU: `sh test/device/run.sh cuda:0` or `... webgpu`, at most 8 minutes.
# NOT RUN ON A GPU YET: none was at hand. It measures the provider against the processor: parity, times, memory, and draws what its streams did.
set -eu
provider=${1:-cuda:0}
cd "$(dirname "$0")/../.."
out=${OUT:-$(mktemp -d)}
echo "== What is installed"
npx --no-install talkmesh doctor --provider "$provider"
echo "== The provider against the processor"
memory() { command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.used,memory.total --format=csv,noheader || true; }
memory
TALKMESH_TIMELINE=$out/timeline.json timeout 420 npm run --silent bench -- providers --provider "$provider"
memory
echo "== Copies and runs, a lane each"
node --import tsx --conditions=source test/device/draw-timeline.ts "$out/timeline.json" "$provider" "$out/timeline.svg"
