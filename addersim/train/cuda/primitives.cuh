// What only a GPU has: types of two bytes, two of them in one register. tests/emulated/cuda_threads.h gives it to a CPU.

struct float16 {
  unsigned short bits;
};
struct bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float widen(float value) { return value; }

__device__ __forceinline__ float widen(float16 value) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
  return wide;
}

__device__ __forceinline__ float widen(bfloat16 value) { return __uint_as_float((unsigned)value.bits << 16); }

__device__ __forceinline__ void narrow(float value, float& to) { to = value; }

__device__ __forceinline__ void narrow(float value, float16& to) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(value));
}

__device__ __forceinline__ void narrow(float value, bfloat16& to) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(value));
}

// Pairs of float16.
__device__ __forceinline__ unsigned pair_difference(unsigned a, unsigned b) {
  unsigned result;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

__device__ __forceinline__ unsigned pair_magnitude(unsigned a) {
  unsigned result;
  asm("abs.f16x2 %0, %1;" : "=r"(result) : "r"(a));
  return result;
}

__device__ __forceinline__ unsigned pair_sum(unsigned a, unsigned b) {
  unsigned result;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

// The two values of a pair added, rounded to float16 and widened.
__device__ __forceinline__ float pair_total(unsigned a) {
  float16 total;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; add.rn.f16 %0, low, high; }" : "=h"(total.bits) : "r"(a));
  return widen(total);
}

// Values on their way from global to shared memory, past the registers: COUNT floats, or zeros.
template <int COUNT>
__device__ __forceinline__ void send(float* to, const float* from, bool is_there) {
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(from), "n"(COUNT * 4),
               "r"(is_there ? COUNT * 4 : 0)
               : "memory");
}

__device__ __forceinline__ void wait_for_sent() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Every value that comes from global memory into registers comes through here.
template <typename VALUE>
__device__ __forceinline__ VALUE fetch(const VALUE* from) {
  return *from;
}

// Every value that goes to global memory goes through here.
template <typename VALUE>
__device__ __forceinline__ void keep(VALUE* to, const VALUE& value) {
  *to = value;
}
