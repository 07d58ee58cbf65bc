#!/usr/bin/env bash
# Everything that only a machine with a CUDA GPU can tell, in one command:
#
#     bench/gpu_check.sh FOLDER
#
# Runs `verify`, the whole test suite with a GPU required, the article's run, compute-sanitizer over a short compiled run
# where it is installed, the comparison with the CPU, and the benchmarks on the GPU, among them those with PyTorch and JAX
# where these can use it; writes what they say as files into FOLDER. Ends with 3 without a GPU, with 1 if anything failed.
# Needs pip install -e ".[test,cuda13]". The limits below, in seconds, add up to 30 minutes; sanitizers take the most of
# what is really used: one needs minutes for a Python that imports CuPy.
set -uo pipefail
folder=${1:?usage: bench/gpu_check.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.." || exit 1
export NN_BACKEND_REQUIRE_GPU=1
failed=0

limit() { timeout -k 10 "$@"; }

limit 60 python -c 'import nn_backend as nn; print(nn.diagnose_gpu()); print(nn.get_backend("gpu").device_name)' \
    | tee "$folder/device.txt" || exit 3
limit 60 python -m nn_backend verify 2>&1 | tee "$folder/verify.txt" || failed=1
limit 540 python -m pytest -q 2>&1 | tee "$folder/tests.txt" || failed=1
limit 60 python -m nn_backend.train --device gpu --engine compiled --json >"$folder/article.json" || failed=1
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        limit 300 compute-sanitizer --tool "$tool" --error-exitcode 9 \
            python -m nn_backend.train --device gpu --engine compiled --iterations 20 --data simulated:20000 \
            >"$folder/$tool.txt" 2>&1 || failed=1
    done
else
    echo "compute-sanitizer is not installed; memcheck and racecheck were not run" | tee "$folder/sanitizer.txt"
fi
limit 180 python -m nn_backend compare --dtype float32 --plot "$folder/compare.svg" 2>&1 \
    | tee "$folder/compare.md" || failed=1
for benchmark in training peers; do
    limit 150 python -m pytest -q "bench/bench_$benchmark.py" -k "cupy and float32" \
        --benchmark-json "$folder/$benchmark.json" 2>&1 | tee "$folder/$benchmark.txt" || failed=1
done
exit "$failed"
