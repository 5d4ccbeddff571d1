#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "algorithms.h"

namespace s3d {
namespace gpu {

size_t sort_bytes(int64_t count) {
  size_t bytes = 0;
  const uint32_t* in = nullptr;
  uint32_t* out = nullptr;
  check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, in, out, in, out, int(count)), "sizing the sort");
  return bytes;
}

void sort_pairs(void* work, size_t work_bytes, const uint32_t* keys_in, uint32_t* keys_out, const uint32_t* values_in,
                uint32_t* values_out, int64_t count, int bits, cudaStream_t stream) {
  if (count == 0) return;
  check(cub::DeviceRadixSort::SortPairs(work, work_bytes, keys_in, keys_out, values_in, values_out, int(count), 0, bits,
                                        stream),
        "sorting");
}

size_t sum_bytes(int64_t count) {
  size_t bytes = 0;
  unsigned long long* data = nullptr;
  check(cub::DeviceScan::ExclusiveSum(nullptr, bytes, data, data, int(count)), "sizing the scan");
  return bytes;
}

void exclusive_sum(void* work, size_t work_bytes, unsigned long long* data, int64_t count, cudaStream_t stream) {
  check(cub::DeviceScan::ExclusiveSum(work, work_bytes, data, data, int(count), stream), "scanning");
}

}  // namespace gpu
}  // namespace s3d
