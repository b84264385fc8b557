/* The panel of bytes on tiles: 16 windows x 16 outputs a register of sums, 16 steps of four taps an instruction. */

#define TILE_ROWS 16
#define TILE_STEPS 16
#define TILE_ROW_BYTES 64

/* Sums of four vectors of outputs in 0..3, operands of 16 steps and of what is left of a run in 4 and 5, their weights in 6 and 7. */
static void configure_tiles(int64_t rest) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.row_bytes[i] = TILE_ROW_BYTES, shapes.rows[i] = TILE_ROWS;
    if (rest) shapes.row_bytes[5] = (uint16_t)(4 * rest), shapes.rows[7] = (uint8_t)rest;
    _tile_loadconfig(&shapes);
}

/* The distance of 16 windows that lie as far apart each, or 0. */
static inline int64_t window_distance(const char *const *windows) {
    const int64_t distance = windows[1] - windows[0];
    int64_t other = 0;
    for (int i = 2; i < TILE_ROWS; i++) other |= (windows[i] - windows[i - 1]) ^ distance;
    return other ? 0 : distance;
}

/* Operands of 16 windows from `at` on: where they lie, or copied together. */
static inline const char *tile_operands(const char *const *windows, int64_t distance, int64_t at, int64_t bytes, char *copied) {
    if (distance) return windows[0] + at;
    for (int i = 0; i < TILE_ROWS; i++) {
        if (bytes == TILE_ROW_BYTES) {
            _mm512_store_si512(copied + i * TILE_ROW_BYTES, _mm512_loadu_si512(windows[i] + at));
        } else {
            memcpy(copied + i * TILE_ROW_BYTES, windows[i] + at, (size_t)bytes);
        }
    }
    return copied;
}

/* Registers have constant numbers. */
#define EACH_VECTOR(DO)      \
    do {                     \
        DO(0)                \
        if (vectors > 1) DO(1) \
        if (vectors > 2) DO(2) \
        if (vectors > 3) DO(3) \
    } while (0)
#define START_SUMS(J)                                                                 \
    {                                                                                 \
        if (accumulate) {                                                             \
            _tile_loadd(J, sums + (J) * LANES, sums_stride * 4);                      \
        } else {                                                                      \
            _tile_zero(J);                                                            \
        }                                                                             \
    }
#define STORE_SUMS(J)                                                                 \
    {                                                                                 \
        _tile_stored(J, sums + (J) * LANES, sums_stride * 4);                         \
    }
#define MULTIPLY(J, X, W)         \
    {                             \
        if (is_signed) {          \
            _tile_dpbssd(J, X, W); \
        } else {                  \
            _tile_dpbusd(J, X, W); \
        }                         \
    }
#define SUM_STEPS(J)                                                                  \
    {                                                                                 \
        _tile_loadd(6, w + (J) * TILE_ROW_BYTES, step_bytes);                         \
        MULTIPLY(J, 4, 6)                                                             \
    }
#define SUM_REST(J)                                                                   \
    {                                                                                 \
        _tile_loadd(7, w + (J) * TILE_ROW_BYTES, step_bytes);                         \
        MULTIPLY(J, 5, 7)                                                             \
    }

static ALWAYS_INLINE void mac_tiles_of(const int is_signed, const char *const *windows, int64_t row_blocks, const int64_t *offsets, int64_t runs, int64_t start,
                                       int64_t steps, const char *panel, const int vectors, int32_t *sums, int64_t sums_stride,
                                       int accumulate) {
    const int64_t whole = steps / TILE_STEPS, rest = steps % TILE_STEPS, step_bytes = (int64_t)vectors * TILE_ROW_BYTES;
    char copied[TILE_ROWS * TILE_ROW_BYTES] __attribute__((aligned(64)));
    configure_tiles(rest);
    for (int64_t block = 0; block < row_blocks; block++, windows += TILE_ROWS, sums += TILE_ROWS * sums_stride) {
        const int64_t apart = window_distance(windows), distance = apart ? apart : TILE_ROW_BYTES;
        const char *w = panel;
        EACH_VECTOR(START_SUMS);
        for (int64_t run = 0; run < runs; run++) {
            int64_t at = offsets[run] + start;
            for (int64_t i = 0; i < whole; i++, at += TILE_ROW_BYTES, w += TILE_STEPS * step_bytes) {
                _tile_loadd(4, tile_operands(windows, apart, at, TILE_ROW_BYTES, copied), distance);
                EACH_VECTOR(SUM_STEPS);
            }
            if (rest) {
                _tile_loadd(5, tile_operands(windows, apart, at, 4 * rest, copied), distance);
                EACH_VECTOR(SUM_REST);
                w += rest * step_bytes;
            }
        }
        EACH_VECTOR(STORE_SUMS);
    }
    _tile_release();
}

#define MAC_TILES(NAME, IS_SIGNED)                                                                                              \
    static void NAME(const char *const *windows, int64_t row_blocks, const int64_t *offsets, int64_t runs, int64_t start,       \
                     int64_t steps, const void *panel, int vectors, void *sums, int64_t sums_stride, int accumulate) {          \
        switch (vectors) {                                                                                                      \
            case 1: mac_tiles_of(IS_SIGNED, PANEL_ARGUMENTS(1)); break;                                                         \
            case 2: mac_tiles_of(IS_SIGNED, PANEL_ARGUMENTS(2)); break;                                                         \
            case 3: mac_tiles_of(IS_SIGNED, PANEL_ARGUMENTS(3)); break;                                                         \
            default: mac_tiles_of(IS_SIGNED, PANEL_ARGUMENTS(4)); break;                                                        \
        }                                                                                                                       \
    }                                                                                                                           \
    enum { NAME##_rows = TILE_ROWS, NAME##_vectors = 4, NAME##_lanes = LANES, NAME##_step_bytes = 4, NAME##_sum_bytes = 4 };
MAC_TILES(mac_tiles, 0)
MAC_TILES(mac_signed_tiles, 1)
