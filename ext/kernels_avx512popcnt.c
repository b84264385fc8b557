/* AVX-512 with VNNI, VPOPCNTDQ and VBMI: the bits of every lane counted in one instruction, 128 bytes looked up in one, too. */
#include "sets.h"

#ifdef ADDERSIM_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx512vbmi,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx512vbmi,avx2,fma,prefer-vector-width=512")
#endif

#define SET avx512popcnt
#define HAS_VNNI 1
#define HAS_POPCNT 1
#define HAS_VBMI 1
#include "avx512.inc.h"
#include "kernels.inc.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int addersim_no_avx512popcnt;
#endif
