/* One panel kernel (see core.h), by one line: PANEL(name, ROWS, VECTORS, lanes of a vector, STEP_BYTES, VECTOR type, SUM type, and
   the operations ZERO() the sum before the first tap, LOAD(bytes), BROADCAST(bytes) one step in every lane,
   ACCUMULATE(sum, x, w), STORE(to, sum, accumulate)); operands are of the type that LOAD gives. `vectors` is a constant in every call, so that the sums live in registers. */

#define PANEL_ARGUMENTS(VECTORS) windows, row_blocks, offsets, runs, start, steps, panel, VECTORS, sums, sums_stride, accumulate
#define PANEL_CASE(NAME, VECTORS, N) NAME##_of(PANEL_ARGUMENTS((N) <= (VECTORS) ? (N) : 1))

#define PANEL(NAME, ROWS, VECTORS, PANEL_LANES, STEP_BYTES, VECTOR, SUM, ZERO, LOAD, BROADCAST, ACCUMULATE, STORE)             \
static ALWAYS_INLINE void NAME##_of(const char *const *windows, int64_t row_blocks, const int64_t *offsets,\
                                                            int64_t runs, int64_t start, int64_t steps, const char *panel,     \
                                                            const int vectors, SUM *sums, int64_t sums_stride, int accumulate) {\
    const int vector_bytes = (PANEL_LANES) * (STEP_BYTES);                                                                     \
    for (int64_t block = 0; block < row_blocks; block++) {                                                                     \
        VECTOR sum[ROWS][VECTORS];                                                                                             \
        const char *x[ROWS], *w = panel;                                                                                       \
        UNROLL for (int i = 0; i < (ROWS); i++) {                                                                              \
            x[i] = windows[i];                                                                                                 \
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = ZERO();                                                       \
        }                                                                                                                      \
        for (int64_t run = 0; run < runs; run++) {                                                                             \
            const int64_t first = offsets[run] + start, end = first + steps * (STEP_BYTES);                                    \
            for (int64_t at = first; at < end; at += (STEP_BYTES), w += vectors * vector_bytes) {                              \
                __typeof__(LOAD(w)) weights[VECTORS];                                                                          \
                UNROLL for (int j = 0; j < vectors; j++) weights[j] = LOAD(w + j * vector_bytes);                              \
                UNROLL for (int i = 0; i < (ROWS); i++) {                                                                      \
                    __typeof__(LOAD(w)) operand = BROADCAST(x[i] + at);                                                        \
                    UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = ACCUMULATE(sum[i][j], operand, weights[j]);           \
                }                                                                                                              \
            }                                                                                                                  \
        }                                                                                                                      \
        UNROLL for (int i = 0; i < (ROWS); i++) {                                                                              \
            UNROLL for (int j = 0; j < vectors; j++) STORE(sums + i * sums_stride + j * (PANEL_LANES), sum[i][j], accumulate); \
        }                                                                                                                      \
        windows += (ROWS);                                                                                                     \
        sums += (ROWS) * sums_stride;                                                                                          \
    }                                                                                                                          \
}                                                                                                                              \
static void NAME(const char *const *windows, int64_t row_blocks, const int64_t *offsets, int64_t runs, int64_t start, int64_t steps,\
                 const void *panel, int vectors, void *sums, int64_t sums_stride, int accumulate) {                            \
    switch (vectors) {                                                                                                         \
        case 1: PANEL_CASE(NAME, VECTORS, 1); break;                                                                           \
        case 2: PANEL_CASE(NAME, VECTORS, 2); break;                                                                           \
        case 3: PANEL_CASE(NAME, VECTORS, 3); break;                                                                           \
        default: PANEL_CASE(NAME, VECTORS, 4); break;                                                                          \
    }                                                                                                                          \
}                                                                                                                              \
/* For the table of kernels: numbers, since C takes no other struct for a constant. */                                         \
enum {                                                                                                                         \
    NAME##_rows = (ROWS),                                                                                                      \
    NAME##_vectors = (VECTORS),                                                                                                \
    NAME##_lanes = (PANEL_LANES),                                                                                              \
    NAME##_step_bytes = (STEP_BYTES),                                                                                          \
    NAME##_sum_bytes = sizeof(SUM),                                                                                            \
};
