// What the tests ask of the emulation itself.
#include <string>

#include "cuda_emulation.h"
#include "sparse3d/c_api.h"

namespace {

enum Mistake { kNone = 0, kDivergentBarrier = 1, kDivergentShuffle = 2, kBarrierAfterReturn = 3 };

void faulty_kernel(int mistake) {
  const bool chosen = threadIdx.x % 2 == 0;
  switch (mistake) {
    case kDivergentBarrier:
      if (chosen) __syncthreads();
      break;
    case kDivergentShuffle:
      if (chosen) __shfl_xor_sync(~0u, 1.0f, 1);
      break;
    case kBarrierAfterReturn:
      if (chosen) return;
      __syncthreads();
      break;
    default:
      __syncthreads();
      __shfl_xor_sync(~0u, 1.0f, 1);
  }
}

}  // namespace

extern "C" {

// 0: threads get their turns in ascending order, 1: in descending order.
S3D_API void s3d_emulation_set_order(int32_t order) {
  s3d::emulation::set_order(static_cast<s3d::emulation::Order>(order));
}

// Runs a kernel with a mistake in it (0: none) and returns the error that was found, or "".
S3D_API const char* s3d_emulation_run_faulty(int32_t mistake) {
  s3d::emulation::run({2, 1, 1}, {64, 1, 1}, [=] { faulty_kernel(mistake); });
  return s3d::emulation::error().c_str();
}

}  // extern "C"
