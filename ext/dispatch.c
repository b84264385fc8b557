/* Which instruction sets this binary holds and this processor runs, and how many threads a call gets. */
#include "core.h"
#include "sets.h"

#ifdef ADDERSIM_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifdef _OPENMP
#include <omp.h>
#ifndef _WIN32
#include <pthread.h>
#endif
#endif

#define ARITHMETIC_NAME(ID, NAME, TERM, FLOAT_SUM, FALLS) NAME,
const char *const arithmetic_names[ARITHMETICS] = {ADDERSIM_EACH_ARITHMETIC(ARITHMETIC_NAME)};

#ifdef ADDERSIM_AMX
/* Whether the processor has tiles of bytes, and the system lets this process use them, which it must ask for once. */
static int has_tiles(void) {
    enum { NOT_ASKED, GRANTED, REFUSED };
    static volatile int answer = NOT_ASKED; /* threads that ask at once get the same one */
    if (answer == NOT_ASKED) {
        const long ask_for_state = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA of asm/prctl.h */
        const unsigned int tiles_of_bytes = 1u << 24 | 1u << 25;
        unsigned int a, b, c, d = 0;
        const int known = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tiles_of_bytes) == tiles_of_bytes;
        answer = known && syscall(SYS_arch_prctl, ask_for_state, tile_data) == 0 ? GRANTED : REFUSED;
    }
    return answer == GRANTED;
}
#endif

/* Best first; portable C is always last. */
int kernel_sets(const Kernels *sets[MAX_SETS]) {
    int count = 0;
#ifdef ADDERSIM_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma")) {
        if (__builtin_cpu_supports("avx512vnni")) {
            if (__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vbmi")) {
#ifdef ADDERSIM_AMX
                if (has_tiles()) sets[count++] = avx512amx_kernels();
#endif
                sets[count++] = avx512popcnt_kernels();
            }
            sets[count++] = avx512vnni_kernels();
        }
        sets[count++] = avx512_kernels();
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets[count++] = avx2_kernels();
#endif
#ifdef ADDERSIM_NEON
    sets[count++] = neon_kernels();
#endif
    sets[count++] = portable_kernels();
    return count;
}

#ifdef _OPENMP
/* The threads of GNU OpenMP do not survive fork(): a child that asked for them would wait for ever. */
static int forked;
#if defined(ADDERSIM_GNU) && !defined(_WIN32)
static void in_child(void) { forked = 1; }
__attribute__((constructor)) static void watch_fork(void) { pthread_atfork(NULL, NULL, in_child); }
#endif

int openmp_threads(void) { return forked ? 1 : omp_get_max_threads(); }
int thread_number(void) { return omp_get_thread_num(); }
#else
int openmp_threads(void) { return 0; }
int thread_number(void) { return 0; }
static const int forked = 1;
#endif

/* Threads of a call: what was asked for, or (0) what OpenMP would take, as far as each has some 20 microseconds of work. */
int use_threads(int threads, int64_t nanoseconds) {
    if (forked) return 1;
    return threads > 0 ? threads : (int)clip(nanoseconds / 20000, 1, openmp_threads());
}
