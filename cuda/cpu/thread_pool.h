// Threads that sleep between jobs. Spinning, as OpenMP's threads do, costs three times as much on a contended machine.
#pragma once

#include <cstdint>
#include <functional>

namespace s3d {

// Calls body(index, worker) for every index in [0, count), on up to `threads` workers (worker < threads); the caller is
// worker 0. Indices are handed out in order, one at a time. Calls from several threads run one after another. The body
// must not throw.
void parallel_for(int threads, int64_t count, const std::function<void(int64_t, int)>& body);

}  // namespace s3d
