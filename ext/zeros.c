/* Zeros of an operand, image by image. */
#include "core.h"

void count_zero_runs(const Kernels *kernels, Type type, const void *codes, int64_t images, int64_t words, int64_t zero, ZeroRuns *found) {
    *found = (ZeroRuns){0};
    for (int64_t image = 0; image < images; image++) {
        kernels->zero_runs(type, (const char *)codes + image * words * bytes_of(type), words, zero, found);
    }
}

void interleave_bytes(const Kernels *kernels, const uint8_t *x, int64_t images, int64_t channels, int64_t pixels, uint8_t *y) {
    for (int64_t image = 0; image < images; image++) {
        kernels->interleave(x + image * channels * pixels, channels, pixels, y + image * channels * pixels);
    }
}
