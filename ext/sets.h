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
#elif defined(__ARM_NEON) && defined(__aarch64__) && defined(ADDERSIM_GNU)
#define ADDERSIM_NEON 1
const Kernels *neon_kernels(void);
#endif
const Kernels *portable_kernels(void);

#endif
