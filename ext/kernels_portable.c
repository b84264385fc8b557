/* Plain C for any processor. */
#include "sets.h"

#include <math.h>

#define SET portable
#define LANES 4
#define F32_ROWS 2
#define F32_VECTORS 2
#define GRADIENT_ROWS 2

typedef struct {
    float at[LANES];
} Floats;
#define EACH(expression)                                   \
    Floats r;                                              \
    for (int i = 0; i < LANES; i++) r.at[i] = (expression); \
    return r
static inline Floats floats_zero(void) { EACH(0.0f); }
static inline Floats floats_load(const float *p) { EACH(p[i]); }
static inline Floats floats_all(const float *p) { EACH(*p); }
static inline void floats_store(float *p, Floats a) {
    for (int i = 0; i < LANES; i++) p[i] = a.at[i];
}
static inline Floats floats_add(Floats a, Floats b) { EACH(a.at[i] + b.at[i]); }
static inline Floats floats_mac(Floats sum, Floats x, Floats w) { EACH(sum.at[i] + x.at[i] * w.at[i]); }
static inline Floats floats_l1(Floats sum, Floats x, Floats w) { EACH(sum.at[i] + fabsf(x.at[i] - w.at[i])); }
static inline float clamped(float slope) { return slope < -1.0f ? -1.0f : slope > 1.0f ? 1.0f : slope; }
static inline Floats floats_clamped_mac(Floats sum, Floats gradient, Floats w, Floats x) {
    EACH(sum.at[i] + gradient.at[i] * clamped(w.at[i] - x.at[i]));
}

#include "kernels.inc.h"
