// One CUDA block on one CPU thread: every thread of the block is a fiber, which runs until it must wait for others at a
// barrier or in a warp's collective. What would hang or misbehave on a device, a barrier that not all threads reach or
// a collective that the warp's lanes enter with different masks or at different places, ends the launch with an error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace s3d {
namespace emulation {

constexpr int kWarp = 32;

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
  Index3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Order in which fibers get their turn. A missing barrier shows in one of the two at least.
enum class Order { kAscending = 0, kDescending = 1 };

void set_order(Order order);

// Runs the body once for every thread of every block. False if a block misbehaved: error() tells how.
bool run(Index3 grid, Index3 block, const std::function<void()>& body);
const std::string& error();

// Of the fiber that is running.
Index3 thread_index();
Index3 block_index();
Index3 block_size();
Index3 grid_size();
int lane();

// Waits for all threads of the block; returns how many of them brought `true`.
int block_rendezvous(bool flag);

// Waits for the lanes of the mask at the same kind of collective and hands each of them what lane `source` brought.
enum class Collective { kShuffle, kVote, kSync };
uint64_t warp_exchange(Collective kind, uint32_t mask, uint64_t value, int source);
// The lanes of the mask that brought a value other than zero.
uint32_t warp_vote(uint32_t mask, bool flag);

}  // namespace emulation
}  // namespace s3d
