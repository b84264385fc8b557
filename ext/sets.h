/* Instruction sets that the compiler can build for this machine's architecture. */
#ifndef ADDERSIM_SETS_H
#define ADDERSIM_SETS_H

#include "core.h"

#if defined(__x86_64__) && defined(ADDERSIM_GNU)
#define ADDERSIM_X86 1
const Kernels *avx2_kernels(void);
const Kernels *avx512_kernels(void);
const Kernels *avx512vnni_kernels(void);
const Kernels *avx512popcnt_kernels(void);
#if defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define ADDERSIM_AMX 1
const Kernels *avx512amx_kernels(void);
#endif
#elif defined(__ARM_NEON) && defined(__aarch64__) && defined(ADDERSIM_GNU)
#define ADDERSIM_NEON 1
const Kernels *neon_kernels(void);
#endif
const Kernels *portable_kernels(void);

#endif
