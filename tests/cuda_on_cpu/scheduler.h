// What cuda_on_cpu.h needs of scheduler.cpp, which is compiled once.
#pragma once

#include <cstddef>
#include <cstdint>

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct uint3 {
    unsigned x = 0, y = 0, z = 0;
};
extern dim3 gridDim, blockDim;
extern uint3 blockIdx, threadIdx; // threadIdx is the running fiber's

namespace cuda_on_cpu {

struct Report {
    const char *text;        // null if all went well
    int block, thread, line; // thread and line are -1 where they are not known
};

// Run kernel(arguments) in every thread. The order is 0, 1 or 2: forward, backward or random.
const Report *launch(void (*kernel)(void **), void **arguments, unsigned grid, unsigned block, std::size_t shared_bytes,
                     int order);

// Wait for all threads of the block.
void wait_for_block(const char *operation, int line);

// Wait for the lanes of `mask`; give them `value`, and get that of the lane `source`.
constexpr unsigned LANES = 32;
std::uint64_t wait_for_lanes(const char *operation, int line, unsigned mask, std::uint64_t value, unsigned source);

// All shared memory lies in one section, so that it can be filled as a whole. "used" keeps g++ from taking memory that
// it does not see written for zero.
#define CUDA_ON_CPU_SHARED __attribute__((section("cuda_shared"), used))
constexpr std::size_t MAX_DYNAMIC_SHARED = 227 * 1024;
extern unsigned char dynamic_shared[MAX_DYNAMIC_SHARED];

} // namespace cuda_on_cpu
