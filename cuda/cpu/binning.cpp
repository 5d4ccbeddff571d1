#include "binning.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "thread_pool.h"

namespace s3d {
namespace {

// Two passes of 13 bits sort the depths of an ordinary scene; counters for more bits would not stay in the cache.
constexpr int kMaxDigitBits = 13;
// Below this many splats waking threads costs more than it saves.
constexpr uint64_t kParallelSort = 16384;

struct Span {
  uint64_t begin, end;
};

Span part_of(uint64_t count, int part, int parts) {
  return {count * uint64_t(part) / uint64_t(parts), count * uint64_t(part + 1) / uint64_t(parts)};
}

// Turns counts[part][bin] into first positions, bins in order and parts in order within a bin.
void exclusive_positions(uint32_t* counts, int parts, size_t bins) {
  uint32_t at = 0;
  for (size_t bin = 0; bin < bins; ++bin)
    for (int part = 0; part < parts; ++part) {
      uint32_t& count = counts[size_t(part) * bins + bin];
      const uint32_t next = at + count;
      count = at;
      at = next;
    }
}

// Moves the chunks' pairs together and subtracts the smallest key. Returns the largest key that is left.
uint32_t compact_chunks(const Bins& bins, int64_t gaussians, int parts, KeyIndex* out) {
  const int64_t chunks = chunk_count(gaussians);
  KeyRange all{UINT32_MAX, 0};
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const KeyRange range = bins.chunk_keys.data()[chunk];
    all = {std::min(all.least, range.least), std::max(all.most, range.most)};
  }
  parallel_for(parts, parts, [=, &bins](int64_t part, int) {
    const Span span = part_of(uint64_t(chunks), int(part), parts);
    for (uint64_t chunk = span.begin; chunk < span.end; ++chunk) {
      const KeyIndex* from = bins.chunk_pairs.data() + chunk * kChunk;
      KeyIndex* to = out + bins.chunk_first.data()[chunk];
      const uint32_t count = bins.chunk_visible.data()[chunk];
      for (uint32_t i = 0; i < count; ++i) to[i] = KeyIndex{from[i].key - all.least, from[i].index};
    }
  });
  return bins.visible ? all.most - all.least : 0;
}

void radix_pass(const KeyIndex* in, KeyIndex* out, uint64_t count, int shift, int bits, uint32_t* histograms,
                int parts) {
  const uint32_t digits = 1u << bits, mask = digits - 1;
  parallel_for(parts, parts, [=](int64_t part, int) {
    uint32_t* histogram = histograms + size_t(part) * digits;
    std::memset(histogram, 0, digits * sizeof(uint32_t));
    const Span span = part_of(count, int(part), parts);
    for (uint64_t i = span.begin; i < span.end; ++i) ++histogram[(in[i].key >> shift) & mask];
  });
  exclusive_positions(histograms, parts, digits);
  parallel_for(parts, parts, [=](int64_t part, int) {
    uint32_t* position = histograms + size_t(part) * digits;
    const Span span = part_of(count, int(part), parts);
    for (uint64_t i = span.begin; i < span.end; ++i) out[position[(in[i].key >> shift) & mask]++] = in[i];
  });
}

// Returns the sorted pairs, in one of the two buffers.
const KeyIndex* sort_by_depth(Bins* bins, uint32_t largest_key, int parts) {
  int key_bits = 1;
  while (key_bits < 32 && largest_key >> key_bits) ++key_bits;
  const int passes = (key_bits + kMaxDigitBits - 1) / kMaxDigitBits, bits = (key_bits + passes - 1) / passes;
  KeyIndex *from = bins->pairs.data(), *to = bins->pairs_other.data();
  uint32_t* histograms = bins->histograms.reserve(size_t(parts) << bits);
  for (int pass = 0; pass < passes; ++pass) {
    radix_pass(from, to, bins->visible, pass * bits, bits, histograms, parts);
    std::swap(from, to);
  }
  return from;
}

template <class Visit>
void for_each_tile(TileBox box, int tiles_x, Visit visit) {
  for (int y = box.y0; y < box.y1; ++y)
    for (int x = box.x0; x < box.x1; ++x) visit(size_t(y) * tiles_x + x);
}

void scatter_to_tiles(Bins* bins, const KeyIndex* sorted, int64_t gaussians, int tiles_x, size_t tiles, int parts) {
  uint32_t* counts = bins->histograms.reserve(size_t(parts) * tiles);
  const TileBox* boxes = bins->boxes.data();
  const uint64_t visible = bins->visible;
  parallel_for(parts, parts, [=](int64_t part, int) {
    uint32_t* count = counts + size_t(part) * tiles;
    std::memset(count, 0, tiles * sizeof(uint32_t));
    const Span span = part_of(visible, int(part), parts);
    if (parts == 1)  // any order will do to count: that of memory is the fastest
      for (int64_t i = 0; i < gaussians; ++i) for_each_tile(boxes[i], tiles_x, [=](size_t tile) { ++count[tile]; });
    else
      for (uint64_t i = span.begin; i < span.end; ++i)
        for_each_tile(boxes[sorted[i].index], tiles_x, [=](size_t tile) { ++count[tile]; });
  });
  exclusive_positions(counts, parts, tiles);
  uint32_t* tile_begin = bins->tile_begin.reserve(tiles + 1);
  std::memcpy(tile_begin, counts, tiles * sizeof(uint32_t));
  tile_begin[tiles] = uint32_t(bins->instance_count);
  uint32_t* instances = bins->instances.reserve(bins->instance_count);
  parallel_for(parts, parts, [=](int64_t part, int) {
    uint32_t* position = counts + size_t(part) * tiles;
    const Span span = part_of(visible, int(part), parts);
    for (uint64_t i = span.begin; i < span.end; ++i) {
      const uint32_t index = sorted[i].index;
      for_each_tile(boxes[index], tiles_x, [=](size_t tile) { instances[position[tile]++] = index; });
    }
  });
}

}  // namespace

void count_instances(Bins* bins, int64_t gaussians) {
  const int64_t chunks = chunk_count(gaussians);
  uint32_t* slots = bins->chunk_slots.reserve(size_t(chunks));
  uint32_t* first = bins->chunk_first.reserve(size_t(chunks));
  bins->visible = bins->instance_count = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    slots[chunk] = uint32_t(bins->instance_count);
    first[chunk] = uint32_t(bins->visible);
    bins->visible += bins->chunk_visible.data()[chunk];
    bins->instance_count += bins->chunk_instances.data()[chunk];
    if (bins->instance_count > UINT32_MAX)
      throw std::length_error("more than 2^32 splat-tile pairs: too many or too large Gaussians for this image size");
  }
}

void bin_splats(Bins* bins, int64_t gaussians, int tiles_x, int tiles_y, int threads) {
  const size_t tiles = size_t(tiles_x) * tiles_y;
  const int parts = bins->visible < kParallelSort ? 1 : threads;
  const uint32_t largest_key = compact_chunks(*bins, gaussians, parts, bins->pairs.reserve(bins->visible));
  bins->pairs_other.reserve(bins->visible);
  const KeyIndex* sorted = sort_by_depth(bins, largest_key, parts);
  scatter_to_tiles(bins, sorted, gaussians, tiles_x, tiles, parts);
  bins->tile_end_used.reserve(tiles);
  bins->tile_order.resize(tiles);
  std::iota(bins->tile_order.begin(), bins->tile_order.end(), 0);
  const uint32_t* begin = bins->tile_begin.data();
  std::sort(bins->tile_order.begin(), bins->tile_order.end(), [begin](int a, int b) {
    const uint32_t in_a = begin[a + 1] - begin[a], in_b = begin[b + 1] - begin[b];
    return in_a != in_b ? in_a > in_b : a < b;
  });
}

}  // namespace s3d
