// Device-wide sorting and summing: CUB's on a device, stand-ins of the standard library in the emulation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform.h"

namespace s3d {
namespace gpu {

// Stable, by the lowest `bits` of the keys. Bytes of work memory for up to `count` elements.
size_t sort_bytes(int64_t count);
// `keys_in` and `values_in` are left as they are.
void sort_pairs(void* work, size_t work_bytes, const uint32_t* keys_in, uint32_t* keys_out, const uint32_t* values_in,
                uint32_t* values_out, int64_t count, int bits, cudaStream_t stream);

size_t sum_bytes(int64_t count);
// In place: every element becomes the sum of those before it.
void exclusive_sum(void* work, size_t work_bytes, unsigned long long* data, int64_t count, cudaStream_t stream);

}  // namespace gpu
}  // namespace s3d
