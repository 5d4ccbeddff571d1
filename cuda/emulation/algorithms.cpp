// Stand-ins for gpu/algorithms.cu.
#include "algorithms.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace s3d {
namespace gpu {

size_t sort_bytes(int64_t) { return 1; }

void sort_pairs(void*, size_t, const uint32_t* keys_in, uint32_t* keys_out, const uint32_t* values_in,
                uint32_t* values_out, int64_t count, int bits, cudaStream_t) {
  const uint32_t mask = bits >= 32 ? ~0u : (1u << bits) - 1;
  std::vector<uint32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [=](uint32_t a, uint32_t b) { return (keys_in[a] & mask) < (keys_in[b] & mask); });
  for (size_t i = 0; i < order.size(); ++i) {
    keys_out[i] = keys_in[order[i]];
    values_out[i] = values_in[order[i]];
  }
}

size_t sum_bytes(int64_t) { return 1; }

void exclusive_sum(void*, size_t, unsigned long long* data, int64_t count, cudaStream_t) {
  std::exclusive_scan(data, data + count, data, 0ull);
}

}  // namespace gpu
}  // namespace s3d
