/* One panel kernel (see core.h). Included once an arithmetic, with
   PANEL name, ROWS, VECTORS, PANEL_LANES, STEP_BYTES, VECTOR type, SUM type, and the operations
   FIRST() the sum before the first tap, LOAD(bytes), ALL(bytes) one step in every lane, STEP(sum, x, w),
   STORE(to, sum, accumulate). */

/* `vectors` is a constant in every call, so that the sums live in registers. */
static inline __attribute__((always_inline)) void PASTE(PANEL, of)(const char *const *windows, int64_t row_blocks,
                                                                   const int64_t *offsets, int64_t runs, int64_t start,
                                                                   int64_t steps, const char *panel, const int vectors, SUM *sums,
                                                                   int64_t sums_stride, int accumulate) {
    const int vector_bytes = PANEL_LANES * STEP_BYTES;
    for (int64_t block = 0; block < row_blocks; block++) {
        VECTOR sum[ROWS][VECTORS];
        const char *x[ROWS], *w = panel;
        UNROLL for (int i = 0; i < ROWS; i++) {
            x[i] = windows[i];
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = FIRST();
        }
        for (int64_t run = 0; run < runs; run++) {
            const int64_t first = offsets[run] + start, end = first + steps * STEP_BYTES;
            for (int64_t at = first; at < end; at += STEP_BYTES, w += vectors * vector_bytes) {
                VECTOR weights[VECTORS];
                UNROLL for (int j = 0; j < vectors; j++) weights[j] = LOAD(w + j * vector_bytes);
                UNROLL for (int i = 0; i < ROWS; i++) {
                    VECTOR operand = ALL(x[i] + at);
                    UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = STEP(sum[i][j], operand, weights[j]);
                }
            }
        }
        UNROLL for (int i = 0; i < ROWS; i++) {
            UNROLL for (int j = 0; j < vectors; j++) STORE(sums + i * sums_stride + j * PANEL_LANES, sum[i][j], accumulate);
        }
        windows += ROWS;
        sums += ROWS * sums_stride;
    }
}

#define ARGUMENTS(VECTORS) windows, row_blocks, offsets, runs, start, steps, panel, VECTORS, sums, sums_stride, accumulate
static void PANEL(const char *const *windows, int64_t row_blocks, const int64_t *offsets, int64_t runs, int64_t start, int64_t steps,
                  const void *panel, int vectors, void *sums, int64_t sums_stride, int accumulate) {
    switch (vectors) {
        case 1: PASTE(PANEL, of)(ARGUMENTS(1)); break;
        case 2: PASTE(PANEL, of)(ARGUMENTS(2)); break;
#if VECTORS > 2
        case 3: PASTE(PANEL, of)(ARGUMENTS(3)); break;
        case 4: PASTE(PANEL, of)(ARGUMENTS(4)); break;
#endif
        default: break;
    }
}
#undef ARGUMENTS

/* For the table of kernels: numbers, since C takes no other struct for a constant. */
enum {
    PASTE(PANEL, rows) = ROWS,
    PASTE(PANEL, vectors) = VECTORS,
    PASTE(PANEL, lanes) = PANEL_LANES,
    PASTE(PANEL, step_bytes) = STEP_BYTES,
    PASTE(PANEL, sum_bytes) = sizeof(SUM),
};

#undef PANEL
#undef ROWS
#undef VECTORS
#undef PANEL_LANES
#undef STEP_BYTES
#undef VECTOR
#undef SUM
#undef FIRST
#undef LOAD
#undef ALL
#undef STEP
#undef STORE
