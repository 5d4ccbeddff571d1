// The language and the runtime: CUDA's own, or the host emulation that the tests use where there is no GPU.
#pragma once

#if defined(S3D_EMULATION)
#include "cuda_emulation.h"
#elif defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <cuda_runtime_api.h>
#endif

#include <stdexcept>
#include <string>

namespace s3d {
namespace gpu {

struct CudaError : std::runtime_error {
  cudaError_t code;
  CudaError(cudaError_t code_, const std::string& what)
      : std::runtime_error(what + ": " + cudaGetErrorString(code_)), code(code_) {}
};

inline void check(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw CudaError(code, what);
}

#if defined(S3D_EMULATION) || defined(__CUDACC__)
// Starts a kernel on the stream; a grid without blocks starts nothing.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, unsigned threads, cudaStream_t stream,
            Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0) return;
#if defined(S3D_EMULATION)
  (void)stream;
  emulation::run(grid, dim3(threads), [&] { kernel(arguments...); });
#else
  // clang-format off
  kernel<<<grid, threads, 0, stream>>>(arguments...);
  // clang-format on
#endif
  check(cudaGetLastError(), name);
}
#endif

constexpr unsigned blocks_for(int64_t count, int threads) { return unsigned((count + threads - 1) / threads); }

}  // namespace gpu
}  // namespace s3d
