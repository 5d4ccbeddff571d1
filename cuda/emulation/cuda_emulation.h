// What g++ needs to compile the kernels of cuda/gpu as host code: the language's marks, the built-in variables, the
// intrinsics and the part of the runtime's interface that they use, and no more. "Device pointers" are host pointers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static  // one block runs at a time

#define threadIdx (::s3d::emulation::thread_index())
#define blockIdx (::s3d::emulation::block_index())
#define blockDim (::s3d::emulation::block_size())
#define gridDim (::s3d::emulation::grid_size())

using dim3 = s3d::emulation::Index3;
struct uint2 {
  unsigned x, y;
};

inline void __syncthreads() { s3d::emulation::block_rendezvous(false); }
inline int __syncthreads_or(int flag) { return s3d::emulation::block_rendezvous(flag != 0) > 0; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8, "shuffles take up to eight bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = s3d::emulation::warp_exchange(s3d::emulation::Collective::kShuffle, mask, bits, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return __shfl_sync(mask, value, s3d::emulation::lane() ^ lanes);
}
inline unsigned __ballot_sync(unsigned mask, int flag) { return s3d::emulation::warp_vote(mask, flag != 0); }
inline int __any_sync(unsigned mask, int flag) { return s3d::emulation::warp_vote(mask, flag != 0) != 0; }
inline void __syncwarp(unsigned mask = ~0u) {
  s3d::emulation::warp_exchange(s3d::emulation::Collective::kSync, mask, 0, s3d::emulation::lane());
}

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone = 0, cudaStreamCaptureStatusActive = 1 };
enum { cudaEventDisableTiming = 2 };
using cudaStream_t = void*;
using cudaEvent_t = void*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};

// A fresh allocation reads as NaN, so that what is used before it is written shows.
inline cudaError_t cudaMalloc(void** place, size_t bytes) {
  *place = std::malloc(bytes);
  if (!*place) return cudaErrorMemoryAllocation;
  std::memset(*place, 0xff, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) {
  std::free(p);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** place, size_t bytes) { return cudaMalloc(place, bytes); }
inline cudaError_t cudaFreeHost(void* p) { return cudaFree(p); }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t) {
  if (bytes) std::memset(p, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
inline cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {"emulation on the CPU", 0, 0, 0, 1};
  return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return s3d::emulation::error().empty() ? cudaSuccess : cudaErrorLaunchFailure; }
inline const char* cudaGetErrorString(cudaError_t error) {
  if (error == cudaErrorMemoryAllocation) return "out of memory";
  return s3d::emulation::error().c_str();
}
