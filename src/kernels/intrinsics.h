// Private to this room. GCC 12 takes the operands that its own intrinsics leave undefined for a
// mistake.
#pragma once

#ifdef __AVX512F__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif
