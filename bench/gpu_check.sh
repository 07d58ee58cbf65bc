#!/usr/bin/env bash
# Everything that only a machine with a CUDA GPU can tell, in one command and under eight minutes:
#
#     bench/gpu_check.sh FOLDER
#
# Runs the whole test suite with a GPU required, compute-sanitizer over a short compiled run where it is installed, and the
# benchmarks of bench_training.py; writes what they say as files into FOLDER. Needs pip install -e ".[test,cuda13]".
set -uo pipefail
folder=${1:?usage: bench/gpu_check.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
export NN_BACKEND_REQUIRE_GPU=1
failed=0

python -c 'import nn_backend as nn; print(nn.diagnose_gpu()); print(nn.get_backend("gpu").device_name)' \
    | tee "$folder/device.txt" || exit 3
timeout 300 python -m pytest -q 2>&1 | tee "$folder/tests.txt" || failed=1
python -m nn_backend.train --device gpu --engine compiled --json >"$folder/article.json" || failed=1
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        timeout 60 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            python -m nn_backend.train --device gpu --engine compiled --iterations 20 --data simulated:20000 \
            >"$folder/$tool.txt" 2>&1 || failed=1
    done
else
    echo "compute-sanitizer is not installed; memcheck and racecheck were not run" | tee "$folder/sanitizer.txt"
fi
timeout 150 python -m pytest -q bench/bench_training.py --benchmark-json "$folder/training.json" \
    2>&1 | tee "$folder/training.txt" || failed=1
exit "$failed"
