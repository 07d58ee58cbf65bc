#!/usr/bin/env bash
# Everything that only a machine with a CUDA GPU can tell, in one command and under eight minutes:
#
#     bench/gpu_check.sh FOLDER
#
# Runs the whole test suite with a GPU required, compute-sanitizer over a short compiled run where it is installed, the
# comparison with the CPU, and the benchmark with PyTorch and JAX on the same GPU where these can use it; writes what they
# say as files into FOLDER. Needs pip install -e ".[test,cuda13]".
set -uo pipefail
folder=${1:?usage: bench/gpu_check.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
export NN_BACKEND_REQUIRE_GPU=1
failed=0

python -c 'import nn_backend as nn; print(nn.diagnose_gpu()); print(nn.get_backend("gpu").device_name)' \
    | tee "$folder/device.txt" || exit 3
timeout 240 python -m pytest -q 2>&1 | tee "$folder/tests.txt" || failed=1
python -m nn_backend.train --device gpu --engine compiled --json >"$folder/article.json" || failed=1
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        timeout 25 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            python -m nn_backend.train --device gpu --engine compiled --iterations 20 --data simulated:20000 \
            >"$folder/$tool.txt" 2>&1 || failed=1
    done
else
    echo "compute-sanitizer is not installed; memcheck and racecheck were not run" | tee "$folder/sanitizer.txt"
fi
timeout 80 python -m nn_backend.compare --dtype float32 --plot "$folder/compare.svg" 2>&1 \
    | tee "$folder/compare.md" || failed=1
timeout 80 python -m pytest -q bench/bench_peers.py -k "cupy and float32" --benchmark-json "$folder/peers.json" \
    2>&1 | tee "$folder/peers.txt" || failed=1
exit "$failed"
