#include "dispatch.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace s3d {

#ifdef S3D_X86
namespace sse42 {
Kernels<float> float_kernels();
Kernels<double> double_kernels();
}  // namespace sse42
namespace avx2 {
Kernels<float> float_kernels();
}
namespace avx512 {
Kernels<float> float_kernels();
}
#else
namespace generic {
Kernels<float> float_kernels();
Kernels<double> double_kernels();
}  // namespace generic
#endif

namespace {

struct Choice {
  const char* name;
  bool available;
  Kernels<float> (*kernels)();
};

// Best first.
std::vector<Choice> choices() {
#ifdef S3D_X86
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  return {{"avx512", has_avx512, avx512::float_kernels},
          {"avx2", has_avx2, avx2::float_kernels},
          {"sse42", true, sse42::float_kernels}};
#else
  return {{"generic", true, generic::float_kernels}};
#endif
}

Dispatch choose() {
#ifdef S3D_X86
  const Kernels<double> float64 = sse42::double_kernels();
#else
  const Kernels<double> float64 = generic::double_kernels();
#endif
  const char* wanted = std::getenv("SPARSE3D_ISA");
  std::string known;
  for (const Choice& choice : choices()) {
    const bool named = wanted && *wanted && std::strcmp(wanted, choice.name) == 0;
    if (named && !choice.available)
      throw std::runtime_error(std::string("SPARSE3D_ISA=") + wanted + ": this machine has no such instructions");
    if (named || (choice.available && !(wanted && *wanted))) return {choice.name, choice.kernels(), float64};
    known += std::string(known.empty() ? "" : ", ") + choice.name;
  }
  throw std::runtime_error(std::string("SPARSE3D_ISA=") + wanted + ": unknown, expected one of " + known);
}

}  // namespace

const Dispatch& dispatch() {
  static const Dispatch chosen = choose();
  return chosen;
}

}  // namespace s3d
