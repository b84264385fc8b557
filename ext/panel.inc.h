/* One panel kernel (see core.h). Included once an arithmetic, with
   PANEL name, ROWS, VECTORS, PANEL_LANES, STEP_BYTES, VECTOR type, SUM type, and the operations
   FIRST() the sum before the first tap, LOAD(bytes), ALL(bytes) one step in every lane, STEP(sum, x, w),
   STORE(to, sum, accumulate). */

/* `vectors` is a constant in every call, so that the sums live in registers. */
static inline __attribute__((always_inline)) void PASTE(PANEL, of)(const char *windows, int64_t window_stride, int64_t row_blocks,
                                                                   const char *panel, int64_t steps, const int vectors,
                                                                   SUM *sums, int64_t sums_stride, int accumulate) {
    const int vector_bytes = PANEL_LANES * STEP_BYTES;
    for (int64_t block = 0; block < row_blocks; block++) {
        VECTOR sum[ROWS][VECTORS];
        UNROLL for (int i = 0; i < ROWS; i++) {
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = FIRST();
        }
        const char *x = windows, *w = panel;
        for (int64_t step = 0; step < steps; step++, x += STEP_BYTES, w += vectors * vector_bytes) {
            VECTOR weights[VECTORS];
            UNROLL for (int j = 0; j < vectors; j++) weights[j] = LOAD(w + j * vector_bytes);
            UNROLL for (int i = 0; i < ROWS; i++) {
                VECTOR operand = ALL(x + i * window_stride);
                UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = STEP(sum[i][j], operand, weights[j]);
            }
        }
        UNROLL for (int i = 0; i < ROWS; i++) {
            UNROLL for (int j = 0; j < vectors; j++) STORE(sums + i * sums_stride + j * PANEL_LANES, sum[i][j], accumulate);
        }
        windows += ROWS * window_stride;
        sums += ROWS * sums_stride;
    }
}

static void PANEL(const void *windows, int64_t window_stride, int64_t row_blocks, const void *panel, int64_t steps, int vectors,
                  void *sums, int64_t sums_stride, int accumulate) {
    switch (vectors) {
        case 1: PASTE(PANEL, of)(windows, window_stride, row_blocks, panel, steps, 1, sums, sums_stride, accumulate); break;
        case 2: PASTE(PANEL, of)(windows, window_stride, row_blocks, panel, steps, 2, sums, sums_stride, accumulate); break;
#if VECTORS > 2
        case 3: PASTE(PANEL, of)(windows, window_stride, row_blocks, panel, steps, 3, sums, sums_stride, accumulate); break;
        case 4: PASTE(PANEL, of)(windows, window_stride, row_blocks, panel, steps, 4, sums, sums_stride, accumulate); break;
#endif
        default: break;
    }
}

static const Panel PASTE(PANEL, row) = {PANEL, ROWS, VECTORS, PANEL_LANES, STEP_BYTES, sizeof(SUM)};

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
