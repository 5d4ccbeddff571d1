// Marks and namespaces that every header of the mathematics shares.
#pragma once

#if defined(__CUDACC__)
#define S3D_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define S3D_HD inline __attribute__((always_inline))
#else
#define S3D_HD inline
#endif

// For functions that are large or called from many places: the compiler decides whether to inline them.
#if defined(__CUDACC__)
#define S3D_HD_LARGE __host__ __device__
#else
#define S3D_HD_LARGE
#endif

// The same templates are compiled once per instruction set. Each copy lives in its own namespace: otherwise the linker
// would merge equal symbols and could keep the AVX-512 body for a machine that has none.
#ifndef S3D_ISA
#define S3D_ISA generic
#endif
