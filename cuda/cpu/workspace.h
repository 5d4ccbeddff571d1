// Memory that a context keeps from call to call: it grows and is not given back until the context goes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "frame.h"

namespace s3d {

// Uninitialised, cache-line aligned storage. reserve() keeps nothing of what was there.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  T* reserve(size_t count) {
    if (count > capacity_) {
      std::free(data_);
      data_ = nullptr;
      capacity_ = 0;
      const size_t wanted = count + count / 8;
      const size_t bytes = (wanted * sizeof(T) + kLine - 1) / kLine * kLine;
      data_ = static_cast<T*>(std::aligned_alloc(kLine, bytes));
      if (!data_) throw std::bad_alloc();
      capacity_ = wanted;
    }
    return data_;
  }
  T* data() const { return data_; }
  size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr size_t kLine = 64;
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

// What binning needs and leaves: independent of the scalar type.
struct Bins {
  Buffer<TileBox> boxes;
  Buffer<KeyIndex> chunk_pairs, pairs, pairs_other;
  Buffer<uint32_t> chunk_visible, chunk_instances, chunk_slots, chunk_first;
  Buffer<KeyRange> chunk_keys;
  Buffer<uint32_t> histograms;
  Buffer<uint32_t> instances, tile_begin, tile_end_used;
  std::vector<int> tile_order;  // heaviest first
  uint64_t visible = 0, instance_count = 0;

  size_t bytes() const {
    return boxes.bytes() + chunk_pairs.bytes() + pairs.bytes() + pairs_other.bytes() + chunk_visible.bytes() +
           chunk_instances.bytes() + chunk_slots.bytes() + chunk_first.bytes() + chunk_keys.bytes() +
           histograms.bytes() + instances.bytes() + tile_begin.bytes() + tile_end_used.bytes() +
           tile_order.capacity() * sizeof(int);
  }
};

template <class Real>
struct Workspace {
  Bins bins;
  Buffer<Record<Real>> records;
  Buffer<Real> channel_values, slots, statistics_slots, scratch, stereo;
  Buffer<double> camera_sums, loss_rows;
  Frame<Real> frame{};
  bool has_forward = false;

  size_t bytes() const {
    return bins.bytes() + records.bytes() + channel_values.bytes() + slots.bytes() + statistics_slots.bytes() +
           scratch.bytes() + stereo.bytes() + camera_sums.bytes() + loss_rows.bytes();
  }
};

}  // namespace s3d
