// Lets g++ compile CUDA C: the words of the language, on top of the threads of scheduler.cpp. A word that is missing
// here is a compile error, and usually one more line.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <utility>

#include "scheduler.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static CUDA_ON_CPU_SHARED

// Synchronisation. As a default argument, __builtin_LINE is the line of the call: that in the CUDA source.

inline void __syncthreads(int line = __builtin_LINE()) { cuda_on_cpu::wait_for_block("__syncthreads", line); }

[[maybe_unused]] static int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
    __shared__ int found;
    cuda_on_cpu::wait_for_block("__syncthreads_or", line); // for all that read what an earlier call found
    if (threadIdx.x == 0) found = 0;
    cuda_on_cpu::wait_for_block("__syncthreads_or", line);
    found |= predicate != 0;
    cuda_on_cpu::wait_for_block("__syncthreads_or", line);
    return found;
}

// A shuffle stays within `width` lanes: a lane that would read past them reads its own value.

namespace cuda_on_cpu {
template <class T> T shuffle(const char *operation, int line, unsigned mask, T value, unsigned source) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = wait_for_lanes(operation, line, mask, bits, source);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
} // namespace cuda_on_cpu

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned offset, int width = 32, int line = __builtin_LINE()) {
    const unsigned lane = threadIdx.x % 32, inside = lane % width + offset < unsigned(width);
    return cuda_on_cpu::shuffle("__shfl_down_sync", line, mask, value, inside ? lane + offset : lane);
}

// Arithmetic. With -ffp-contract=off, + - * / and std::fma round as IEEE 754 says.

#define CUDA_ON_CPU_ARITHMETIC(T, letter, fma_name)                                                                    \
    inline T fma_name(T a, T b, T c) { return std::fma(a, b, c); }                                                     \
    inline T __##letter##add_rn(T a, T b) { return a + b; }                                                            \
    inline T __##letter##sub_rn(T a, T b) { return a - b; }                                                            \
    inline T __##letter##mul_rn(T a, T b) { return a * b; }                                                            \
    inline T __##letter##div_rn(T a, T b) { return a / b; }                                                            \
    inline T __##letter##sqrt_rn(T a) { return std::sqrt(a); }
CUDA_ON_CPU_ARITHMETIC(float, f, __fmaf_rn)
CUDA_ON_CPU_ARITHMETIC(double, d, __fma_rn)

namespace cuda_on_cpu {
template <class To, class From> To same_bits(From value) {
    static_assert(sizeof(From) == sizeof(To));
    To bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
} // namespace cuda_on_cpu
inline int __float_as_int(float value) { return cuda_on_cpu::same_bits<int>(value); }
inline float __int_as_float(int bits) { return cuda_on_cpu::same_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return cuda_on_cpu::same_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return cuda_on_cpu::same_bits<double>(bits); }

// For Python: a kernel's parameters in NumPy's words ("const f4*, i8"), and a call with pointers to its arguments.

namespace cuda_on_cpu {
template <class T> int write_dtype(char *text) {
    using Target = std::remove_pointer_t<T>;
    const char integer = std::is_same_v<std::remove_cv_t<Target>, bool> ? 'b' : std::is_signed_v<Target> ? 'i' : 'u';
    const char kind = std::is_floating_point_v<Target> ? 'f' : std::is_integral_v<Target> ? integer : 'V';
    const char *constant = std::is_pointer_v<T> && std::is_const_v<Target> ? "const " : "";
    return std::sprintf(text, "%s%c%zu%s, ", constant, kind, sizeof(Target), std::is_pointer_v<T> ? "*" : "");
}

template <class... T> const char *signature(void (*)(T...)) {
    static char text[sizeof...(T) * sizeof "const V1000000000*, " + 1];
    char *end = text;
    ((end += write_dtype<T>(end)), ...);
    return text;
}

template <class... T, std::size_t... i> void call(void (*name)(T...), void **arguments, std::index_sequence<i...>) {
    name(*static_cast<std::remove_cv_t<T> *>(arguments[i])...);
}

template <class... T> void call(void (*name)(T...), void **arguments) {
    call(name, arguments, std::index_sequence_for<T...>());
}
} // namespace cuda_on_cpu

#define CUDA_ON_CPU_EXPORT extern "C" __attribute__((visibility("default")))
#define CUDA_ON_CPU_KERNEL(name)                                                                                       \
    CUDA_ON_CPU_EXPORT const char *signature_##name() { return cuda_on_cpu::signature(name); }                         \
    CUDA_ON_CPU_EXPORT const cuda_on_cpu::Report *launch_##name(void **arguments, unsigned grid, unsigned block,       \
                                                                std::size_t shared, int order) {                       \
        const auto run = [](void **arguments) { cuda_on_cpu::call(name, arguments); };                                 \
        return cuda_on_cpu::launch(run, arguments, grid, block, shared, order);                                        \
    }
