// Every CUDA thread of a block is a fiber with a stack of its own. One fiber runs at a time, until it comes to a
// synchronisation point (a barrier, a shuffle) or to its end; then the scheduler resumes another. In the order
// "forward" that is always the lowest thread that can run, so the first warp runs as far ahead of the others as the
// barriers let it; "backward" takes the highest; "random" any. Where a barrier is missing, one of
// these orders reads too early or writes too soon. Blocks run one after another, in the same order.
//
// Shared memory is filled with NaN (as an integer: -1) when a block starts. Stopped with an error are: a barrier that
// not all threads reach in the same line, threads that wait for each other, a shuffle from a lane that takes no part,
// an index outside an array of known length, a write past the end of dynamic shared memory.
//
// It shows nothing about speed, nor about when one thread's writes become visible to another.

#include "scheduler.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

dim3 gridDim, blockDim;
uint3 blockIdx, threadIdx;

namespace cuda_on_cpu {

alignas(1024) CUDA_ON_CPU_SHARED unsigned char dynamic_shared[MAX_DYNAMIC_SHARED];
extern "C" unsigned char __start_cuda_shared[], __stop_cuda_shared[]; // the linker's names for the section's ends

namespace {

// __init__.py lets a function's frame have half of it. The 320 keep the stacks out of one another's lines of the cache:
// switching takes half the time.
constexpr std::size_t STACK_BYTES = 256 * 1024 + 320;
constexpr unsigned char POISON = 0xff;

enum class Order { forward, backward, random };
enum class State { ready, at_barrier, in_warp, exited };

struct Fiber {
    ucontext_t start;
    jmp_buf stopped;
    bool started = false;
    State state = State::ready;
    const char *operation; // the one it waits in, and the line
    int line;
    unsigned mask, source;         // in_warp: the lanes it waits for, and the one it reads;
    std::uint64_t value, received; // what it gives, and what it got
};

struct Warp {
    unsigned ready, waiting, exited; // a bit per lane; one that the block does not have counts as exited
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
Fiber *current;
jmp_buf scheduler;
Order order;
std::minstd_rand random_number;
Report report;
void (*kernel)(void **);
void **kernel_arguments;

void fail(const std::string &text, int thread = -1, int line = -1) {
    static std::string kept;
    if (report.text)
        return;
    kept = text;
    report = {kept.c_str(), static_cast<int>(blockIdx.x), thread, line};
}

// The fibers. setcontext enters them, and from then on _longjmp switches, because swapcontext makes a system call each
// time and takes ten times as long. The next two functions may not be inlined: _setjmp remembers their frames.

__attribute__((noinline)) void stop(State state, const char *operation, int line) {
    current->state = state;
    current->operation = operation;
    current->line = line;
    if (_setjmp(current->stopped) == 0)
        _longjmp(scheduler, 1);
}

__attribute__((noinline)) void resume(unsigned thread) {
    current = &fibers[thread];
    threadIdx.x = thread;
    if (_setjmp(scheduler) != 0)
        return; // the fiber has stopped
    if (current->started)
        _longjmp(current->stopped, 1);
    current->started = true;
    setcontext(&current->start);
}

void fiber_main() {
    for (;;) { // once per block
        kernel(kernel_arguments);
        stop(State::exited, "", 0);
    }
}

std::string describe(const Fiber &fiber) {
    if (fiber.state == State::exited)
        return "exited";
    char mask[sizeof "0x00000000"] = "";
    if (fiber.state == State::in_warp)
        std::snprintf(mask, sizeof mask, "0x%08x", fiber.mask);
    return std::string(fiber.operation) + "(" + mask + ") in line " + std::to_string(fiber.line);
}

std::string who_waits() {
    constexpr std::size_t enough = 40; // characters: of every second thread, the first few will do
    std::map<std::string, std::string> threads;
    for (std::size_t first = 0, next; first < fibers.size(); first = next) {
        const std::string where = describe(fibers[first]);
        for (next = first + 1; next < fibers.size() && describe(fibers[next]) == where;)
            next++;
        std::string &list = threads[where];
        if (list.size() >= enough)
            continue;
        list += (list.empty() ? "" : ", ") + std::to_string(first);
        list += next - first > 1 ? "-" + std::to_string(next - 1) : "";
        list += list.size() < enough ? "" : ", ...";
    }
    std::string text;
    for (const auto &[where, list] : threads)
        text += (text.empty() ? "" : "; ") + where + ": threads " + list;
    return text;
}

// Give the lanes that have met what they ask for, and let them run.
void exchange(unsigned first, unsigned lanes) {
    for (unsigned rest = lanes; rest; rest &= rest - 1) {
        const unsigned thread = first + __builtin_ctz(rest);
        Fiber &fiber = fibers[thread];
        if (lanes >> fiber.source & 1) {
            fiber.received = fibers[first + fiber.source].value;
        } else {
            const bool in_mask = fiber.mask >> fiber.source & 1, exists = first + fiber.source < fibers.size();
            const char *why = !in_mask ? "not in its mask" : exists ? "no longer running" : "not in the block";
            fail(describe(fiber) + " reads lane " + std::to_string(fiber.source) + ": " + why, thread, fiber.line);
        }
    }
    warps[first / LANES].waiting &= ~lanes;
    warps[first / LANES].ready |= lanes;
}

// Let a waiting lane run, and those it waits for, if all of them have come to the same point or exited.
void release_lanes(unsigned thread) {
    const Fiber &fiber = fibers[thread];
    const Warp &warp = warps[thread / LANES];
    const unsigned first = thread - thread % LANES, expected = fiber.mask & ~warp.exited;
    if (expected & ~warp.waiting)
        return;
    for (unsigned rest = expected; rest; rest &= rest - 1) {
        const Fiber &other = fibers[first + __builtin_ctz(rest)];
        if (std::strcmp(other.operation, fiber.operation) || other.line != fiber.line || other.mask != fiber.mask)
            return;
    }
    exchange(first, expected);
}

void run_until_stop(unsigned thread) {
    resume(thread);
    Warp &warp = warps[thread / LANES];
    const unsigned lane = thread % LANES;
    warp.ready &= ~(1u << lane);
    if (current->state == State::in_warp) {
        warp.waiting |= 1u << lane;
        release_lanes(thread);
    } else if (current->state == State::exited) {
        warp.exited |= 1u << lane;
        for (unsigned rest = warp.waiting; rest; rest &= warp.waiting & (rest - 1))
            release_lanes(thread - lane + __builtin_ctz(rest));
    }
}

// No thread can run: all of them are at one barrier and go on, or something is wrong.
void release_barrier() {
    const auto waits = [](const Fiber &fiber) { return fiber.state != State::exited; };
    const Fiber &first = *std::find_if(fibers.begin(), fibers.end(), waits);
    bool together = true, in_warp = false;
    for (const Fiber &fiber : fibers) {
        together &= fiber.state == State::at_barrier && fiber.line == first.line;
        in_warp |= fiber.state == State::in_warp;
    }
    if (!together)
        fail((in_warp ? "deadlock: " : "divergent barrier: ") + who_waits(), &first - fibers.data(), first.line);
    for (Warp &warp : warps)
        warp.ready = ~warp.exited;
}

// The thread to run next, -1 if none can: the lowest, the highest, or the next one from a random thread on.
int choose() {
    const unsigned count = warps.size(), start = order == Order::random ? random_number() % fibers.size() : 0;
    if (order == Order::backward) {
        for (unsigned number = count; number-- > 0;)
            if (const unsigned ready = warps[number].ready)
                return number * LANES + LANES - 1 - __builtin_clz(ready);
        return -1;
    }
    for (unsigned i = 0; i <= count; i++) { // the first warp comes once more at the end, for its lanes before `start`
        const unsigned number = (start / LANES + i) % count;
        if (const unsigned ready = warps[number].ready & (i == 0 ? ~0u << start % LANES : ~0u))
            return number * LANES + __builtin_ctz(ready);
    }
    return -1;
}

void run_block(std::size_t shared_bytes) {
    std::memset(__start_cuda_shared, POISON, __stop_cuda_shared - __start_cuda_shared);
    for (std::size_t first = 0; first < fibers.size(); first += LANES) {
        const unsigned ready = ~0u >> (LANES - std::min<std::size_t>(LANES, fibers.size() - first));
        warps[first / LANES] = {ready, 0, ~ready};
    }
    const auto exited = [](const Warp &warp) { return warp.exited == ~0u; };
    while (!report.text) {
        if (const int thread = choose(); thread >= 0)
            run_until_stop(thread);
        else if (std::all_of(warps.begin(), warps.end(), exited))
            break;
        else
            release_barrier();
    }
    const unsigned char *past = dynamic_shared + shared_bytes, *end = dynamic_shared + MAX_DYNAMIC_SHARED;
    if (!report.text && past < end && (*past != POISON || std::memcmp(past, past + 1, end - past - 1))) // all the same
        fail("a write past the end of dynamic shared memory, which has " + std::to_string(shared_bytes) + " bytes");
}

} // namespace

void wait_for_block(const char *operation, int line) { stop(State::at_barrier, operation, line); }

std::uint64_t wait_for_lanes(const char *operation, int line, unsigned mask, std::uint64_t value, unsigned source) {
    if (!(mask >> threadIdx.x % LANES & 1)) {
        fail(std::string(operation) + " in a lane that is not in its own mask", threadIdx.x, line);
        stop(State::exited, operation, line);
    }
    current->mask = mask;
    current->value = value;
    current->source = source;
    stop(State::in_warp, operation, line);
    return current->received;
}

const Report *launch(void (*run)(void **), void **arguments, unsigned grid, unsigned block, std::size_t shared_bytes,
                     int run_order) {
    kernel = run;
    kernel_arguments = arguments;
    gridDim.x = grid;
    blockDim.x = block;
    order = static_cast<Order>(run_order);
    random_number.seed();
    report = {};
    const std::unique_ptr<char[]> stacks(new char[block * STACK_BYTES]); // make_unique would touch every page
    fibers = std::vector<Fiber>(block);
    warps = std::vector<Warp>((block + LANES - 1) / LANES);
    for (unsigned i = 0; i < block; i++) {
        ucontext_t &start = fibers[i].start;
        getcontext(&start);
        start.uc_stack.ss_sp = stacks.get() + i * STACK_BYTES;
        start.uc_stack.ss_size = STACK_BYTES;
        makecontext(&start, fiber_main, 0);
    }
    std::vector<unsigned> blocks(grid);
    std::iota(blocks.begin(), blocks.end(), 0);
    if (order == Order::backward)
        std::reverse(blocks.begin(), blocks.end());
    if (order == Order::random)
        std::shuffle(blocks.begin(), blocks.end(), random_number);
    for (std::size_t i = 0; i < grid && !report.text; i++) {
        blockIdx.x = blocks[i];
        run_block(shared_bytes);
    }
    return report.text ? &report : nullptr;
}

// A kernel compiled with -fsanitize=bounds calls this before it would use an index that is outside its array.
extern "C" void __ubsan_handle_out_of_bounds(void *place, void *index) {
    struct Place {
        const char *file;
        std::uint32_t line;
    };
    const int line = static_cast<const Place *>(place)->line;
    const auto number = reinterpret_cast<std::intptr_t>(index);
    fail("index " + std::to_string(number) + " is outside its array", threadIdx.x, line);
    stop(State::exited, "index", line);
}

} // namespace cuda_on_cpu
