// Memory and events of one device, owned.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform.h"

namespace s3d {
namespace gpu {

// Device memory that only grows. Growing waits for the device (cudaFree does) and cannot happen in a graph's capture.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { cudaFree(data_); }

  // The contents are lost when the buffer grows.
  T* reserve(size_t count) {
    if (count > capacity_) {
      cudaFree(data_);
      data_ = nullptr;
      capacity_ = 0;
      void* fresh = nullptr;
      check(cudaMalloc(&fresh, count * sizeof(T)), "allocating work memory");
      data_ = static_cast<T*>(fresh);
      capacity_ = count;
    }
    return data_;
  }
  T* data() const { return data_; }
  size_t capacity() const { return capacity_; }
  size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

// One value in page-locked host memory, into which the device copies without making the host wait.
template <class T>
class PinnedValue {
 public:
  PinnedValue() {
    void* fresh = nullptr;
    check(cudaMallocHost(&fresh, sizeof(T)), "allocating page-locked memory");
    value_ = static_cast<T*>(fresh);
    *value_ = T{};
  }
  PinnedValue(const PinnedValue&) = delete;
  PinnedValue& operator=(const PinnedValue&) = delete;
  ~PinnedValue() { cudaFreeHost(value_); }
  T* get() { return value_; }

 private:
  T* value_ = nullptr;
};

class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "creating an event"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "recording an event"); }
  void wait() { check(cudaEventSynchronize(event_), "waiting for the number of splat-tile pairs"); }
  void hold_back(cudaStream_t stream) { check(cudaStreamWaitEvent(stream, event_, 0), "ordering two streams"); }

 private:
  cudaEvent_t event_;
};

// Makes a device current for a scope.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    check(cudaGetDevice(&before_), "asking for the current device");
    if (before_ != device) check(cudaSetDevice(device), "choosing the device");
    changed_ = before_ != device;
  }
  ~DeviceScope() {
    if (changed_) cudaSetDevice(before_);
  }

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace gpu
}  // namespace s3d
