// From depth keys and tile boxes to each tile's splats, front to back.
#pragma once

#include "workspace.h"

namespace s3d {

inline int64_t chunk_count(int64_t gaussians) { return (gaussians + kChunk - 1) / kChunk; }

// Prefix sums over the chunks: where each chunk's slots begin; how many splats and tile instances there are. Throws
// std::length_error when the instances exceed 32 bits.
void count_instances(Bins* bins, int64_t gaussians);

// Sorts the visible splats by depth (stable radix sort), then scatters them to their tiles (stable as well, so that the
// order inside a tile is by depth and then by index, for any number of threads).
void bin_splats(Bins* bins, int64_t gaussians, int tiles_x, int tiles_y, int threads);

}  // namespace s3d
