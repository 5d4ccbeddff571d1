#include "fibers.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
inline void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
inline void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace s3d {
namespace emulation {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kStackBytes = kSanitized ? 1 << 20 : 1 << 17;

enum class State { kIdle, kReady, kInWarp, kInBlock };

// A context that can be left and entered. Created once by makecontext; afterwards _longjmp switches without the system
// calls of swapcontext, except under the address sanitizer, which knows fibers by its own calls only.
struct Context {
  jmp_buf jump;
  ucontext_t full;
  bool entered = false;
  const void* stack = nullptr;
  size_t stack_bytes = 0;
};

struct Fiber {
  Context context;
  std::unique_ptr<char[]> stack;
  State state = State::kIdle;
  unsigned generation = 0;  // of the rendezvous that it waits for
  Index3 index;
};

struct WarpState {
  uint32_t arrived = 0, mask = 0;
  Collective kind = Collective::kSync;
  unsigned generation = 0;
  uint64_t values[2][kWarp] = {};  // the next collective may start before all lanes have read
};

struct Block {
  std::vector<Fiber> fibers{kMaxThreads};
  std::vector<WarpState> warps{kMaxThreads / kWarp};
  Context scheduler;
  const std::function<void()>* body = nullptr;
  Index3 grid, size, index;
  int threads = 0, current = 0, alive = 0;
  int arrived = 0, flags = 0, flags_of_last = 0;
  unsigned generation = 0;
  Order order = Order::kAscending;
  std::string error;
};

Block block;
std::mutex running;  // launches of several threads take turns

void switch_to(Context* from, Context* to) {
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, to->stack, to->stack_bytes);
  if (kSanitized || !to->entered) {
    to->entered = true;
    if (kSanitized)
      swapcontext(&from->full, &to->full);
    else if (_setjmp(from->jump) == 0)
      setcontext(&to->full);
  } else if (_setjmp(from->jump) == 0) {
    _longjmp(to->jump, 1);
  }
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}

bool ready(const Fiber& fiber, int index) {
  switch (fiber.state) {
    case State::kReady:
      return true;
    case State::kInWarp:
      return block.warps[size_t(index) / kWarp].generation != fiber.generation;
    case State::kInBlock:
      return block.generation != fiber.generation;
    default:
      return false;
  }
}

// Leaves the fiber that is running for the next one that can go on, or for the scheduler where there is none.
void yield() {
  Fiber& from = block.fibers[size_t(block.current)];
  const int step = block.order == Order::kAscending ? 1 : block.threads - 1;
  int next = block.current;
  for (int i = 0; i < block.threads && block.error.empty(); ++i) {
    next = (next + step) % block.threads;
    if (!ready(block.fibers[size_t(next)], next)) continue;
    if (next == block.current) return;
    block.current = next;
    return switch_to(&from.context, &block.fibers[size_t(next)].context);
  }
  switch_to(&from.context, &block.scheduler);
}

[[noreturn]] void fail(const std::string& what) {
  if (block.error.empty())
    block.error = what + " (block " + std::to_string(block.index.x) + "," + std::to_string(block.index.y) +
                  ", thread " + std::to_string(block.current) + ")";
  for (;;) switch_to(&block.fibers[size_t(block.current)].context, &block.scheduler);
}

void fiber_main() {
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
  for (;;) {
    Fiber& self = block.fibers[size_t(block.current)];
    self.state = State::kReady;
    (*block.body)();
    self.state = State::kIdle;
    --block.alive;
    yield();
  }
}

void prepare(Fiber* fiber) {
  if (!fiber->stack) fiber->stack.reset(new char[kStackBytes]);
  getcontext(&fiber->context.full);
  fiber->context.full.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.full.uc_stack.ss_size = kStackBytes;
  fiber->context.full.uc_link = nullptr;
  fiber->context.stack = fiber->stack.get();
  fiber->context.stack_bytes = kStackBytes;
  fiber->context.entered = false;
  makecontext(&fiber->context.full, fiber_main, 0);
}

// The sanitizer must know the stack that it returns to.
void find_own_stack(Context* context) {
#if defined(__SANITIZE_ADDRESS__)
  pthread_attr_t attributes;
  void* base = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &base, &context->stack_bytes);
  pthread_attr_destroy(&attributes);
  context->stack = base;
#else
  (void)context;
#endif
}

void run_block() {
  block.alive = block.threads;
  block.arrived = block.flags = 0;
  for (auto& warp : block.warps) warp.arrived = 0;
  for (int t = 0; t < block.threads; ++t) {
    Fiber& fiber = block.fibers[size_t(t)];
    if (!fiber.stack) prepare(&fiber);
    fiber.state = State::kReady;
    fiber.index = Index3(unsigned(t) % block.size.x, unsigned(t) / block.size.x % block.size.y,
                         unsigned(t) / (block.size.x * block.size.y));
  }
  block.current = block.order == Order::kAscending ? 0 : block.threads - 1;
  switch_to(&block.scheduler, &block.fibers[size_t(block.current)].context);
  if (block.error.empty() && block.alive > 0)
    block.error = "a barrier or a warp's collective that some threads never reach (block " +
                  std::to_string(block.index.x) + "," + std::to_string(block.index.y) + ")";
  if (block.error.empty()) return;
  for (Fiber& fiber : block.fibers) fiber.stack.reset();  // they stand in the middle of the body: start anew
}

}  // namespace

void set_order(Order order) {
  const std::lock_guard<std::mutex> lock(running);
  block.order = order;
}

const std::string& error() { return block.error; }

bool run(Index3 grid, Index3 size, const std::function<void()>& body) {
  const std::lock_guard<std::mutex> lock(running);
  block.error.clear();
  block.grid = grid;
  block.size = size;
  block.threads = int(size.x * size.y * size.z);
  block.body = &body;
  block.scheduler.entered = true;
  find_own_stack(&block.scheduler);
  if (block.threads < 1 || block.threads > kMaxThreads) {
    block.error = "a block of " + std::to_string(block.threads) + " threads: expected 1 to 1024";
    return false;
  }
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block.index = Index3(x, y, z);
        run_block();
        if (!block.error.empty()) return false;
      }
  return true;
}

Index3 thread_index() { return block.fibers[size_t(block.current)].index; }
Index3 block_index() { return block.index; }
Index3 block_size() { return block.size; }
Index3 grid_size() { return block.grid; }
int lane() { return block.current % kWarp; }

int block_rendezvous(bool flag) {
  Fiber& self = block.fibers[size_t(block.current)];
  if (block.alive != block.threads) fail("a barrier after some threads have returned");
  block.flags += flag;
  if (++block.arrived == block.threads) {
    block.flags_of_last = block.flags;
    block.arrived = block.flags = 0;
    ++block.generation;
    return block.flags_of_last;
  }
  self.state = State::kInBlock;
  self.generation = block.generation;
  yield();
  self.state = State::kReady;
  return block.flags_of_last;
}

namespace {

// Returns the values that the lanes of the mask brought.
const uint64_t* meet(Collective kind, uint32_t mask, uint64_t value) {
  Fiber& self = block.fibers[size_t(block.current)];
  WarpState& warp = block.warps[size_t(block.current) / kWarp];
  const uint32_t own = 1u << lane();
  if (!(mask & own)) fail("a warp's collective by a lane that its mask leaves out");
  if (warp.arrived && (warp.mask != mask || warp.kind != kind))
    fail("lanes of one warp in different collectives, or with different masks");
  if (warp.arrived & own) fail("a lane arrived twice");
  warp.mask = mask;
  warp.kind = kind;
  uint64_t* values = warp.values[warp.generation & 1];
  values[lane()] = value;
  warp.arrived |= own;
  if (warp.arrived == mask) {
    warp.arrived = 0;
    ++warp.generation;
    return values;
  }
  self.state = State::kInWarp;
  self.generation = warp.generation;
  yield();
  self.state = State::kReady;
  return values;
}

}  // namespace

uint64_t warp_exchange(Collective kind, uint32_t mask, uint64_t value, int source) {
  const uint64_t* values = meet(kind, mask, value);
  if (!(mask >> (source & (kWarp - 1)) & 1)) fail("a shuffle from a lane that the mask leaves out");
  return values[source & (kWarp - 1)];
}

uint32_t warp_vote(uint32_t mask, bool flag) {
  const uint64_t* values = meet(Collective::kVote, mask, flag);
  uint32_t found = 0;
  for (int i = 0; i < kWarp; ++i)
    if ((mask >> i & 1) && values[i]) found |= 1u << i;
  return found;
}

}  // namespace emulation
}  // namespace s3d
