/* AVX-512 as kernels_avx512popcnt.c has it, and tiles that multiply bytes. */
#include "sets.h"

#ifdef ADDERSIM_AMX
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx512vbmi,avx2,fma,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx512vbmi,avx2,fma,amx-tile,amx-int8,prefer-vector-width=512")
#endif

#define SET avx512amx
#define HAS_VNNI 1
#define HAS_POPCNT 1
#define HAS_VBMI 1
#define HAS_TILES 1
#include "avx512.inc.h"
#include "kernels.inc.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int addersim_no_avx512amx;
#endif
