// CUDA C++ on a CPU: the threads of a block take turns, from barrier to barrier and in any order, so that the kernels' own
// source runs and is compared. Copies past the registers arrive when they are waited for; addresses outside the operands are
// reported.
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

struct Index {
  unsigned x, y;
};
static Index threadIdx, blockIdx, blockDim;
using std::min;

static int __clz(int value) { return __builtin_clz(value); }
static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

struct float16 {
  unsigned short bits;
};
struct bfloat16 {
  unsigned short bits;
};

static float as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
static unsigned as_bits(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

static float widen(float value) { return value; }
static float widen(bfloat16 value) { return as_float((unsigned)value.bits << 16); }
static float widen(float16 value) {
  const int exponent = value.bits >> 10 & 31, fraction = value.bits & 1023;
  const float size = exponent == 31
                         ? (fraction ? NAN : INFINITY)
                         : std::ldexp((float)(exponent ? fraction + 1024 : fraction), (exponent ? exponent : 1) - 25);
  return value.bits >> 15 ? -size : size;
}

static void narrow(float value, float& to) { to = value; }
static void narrow(float value, bfloat16& to) {
  const unsigned bits = as_bits(value);
  to.bits = std::isnan(value) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static void narrow(float value, float16& to) {  // to the nearest multiple of the last place, ties to even
  const unsigned sign = as_bits(value) >> 16 & 0x8000;
  const float size = std::fabs(value);
  if (std::isnan(value)) {
    to.bits = 0x7fff;
    return;
  }
  int exponent;
  std::frexp(size, &exponent);
  exponent = std::max(exponent, -13);
  const float steps = std::nearbyint(std::ldexp(size, 11 - exponent));
  const float rounded = std::ldexp(steps, exponent - 11);
  if (rounded >= 65536.0f || std::isinf(size)) {
    to.bits = sign | 0x7c00;
    return;
  }
  std::frexp(rounded, &exponent);
  exponent = std::max(exponent, -13);
  const unsigned whole = (unsigned)std::ldexp(rounded, 11 - exponent);  // below 1024 where subnormal
  to.bits = sign | (whole < 1024 ? whole : ((unsigned)(exponent + 14) << 10 | (whole & 1023)));
}

static float16 half_of(unsigned pair, int place) { return {(unsigned short)(pair >> 16 * place)}; }
static unsigned pair_of(float low, float high) {
  float16 a, b;
  narrow(low, a);
  narrow(high, b);
  return a.bits | (unsigned)b.bits << 16;
}
static unsigned pair_difference(unsigned a, unsigned b) {
  return pair_of(widen(half_of(a, 0)) - widen(half_of(b, 0)), widen(half_of(a, 1)) - widen(half_of(b, 1)));
}
static unsigned pair_sum(unsigned a, unsigned b) {
  return pair_of(widen(half_of(a, 0)) + widen(half_of(b, 0)), widen(half_of(a, 1)) + widen(half_of(b, 1)));
}
static unsigned pair_magnitude(unsigned a) { return a & 0x7fff7fff; }
static float pair_total(unsigned a) { return widen(half_of(pair_sum(a, a >> 16 | a << 16), 0)); }

// Operands of the launch, from their first to their last byte.
static std::vector<std::pair<uintptr_t, uintptr_t>> operands;
static std::string fault;

static bool is_inside(const void* address, size_t bytes, size_t alignment) {
  const uintptr_t first = (uintptr_t)address;
  if (first % alignment) fault = "an address that is not aligned to " + std::to_string(alignment) + " bytes";
  for (auto [from, to] : operands)
    if (first >= from && first + bytes <= to) return first % alignment == 0;
  fault = "an address outside of the operands";
  return false;
}

template <typename VALUE>
static VALUE fetch(const VALUE* from) {
  return is_inside(from, sizeof(VALUE), alignof(VALUE)) ? *from : VALUE{};
}

template <typename VALUE>
static void keep(VALUE* to, const VALUE& value) {
  if (is_inside(to, sizeof(VALUE), alignof(VALUE))) *to = value;
}

struct Sent {
  float* to;
  const float* from;
  int count;
};
static std::vector<std::vector<Sent>> sent;

template <int COUNT>
static void send(float* to, const float* from, bool is_there) {
  if ((uintptr_t)to % (COUNT * 4)) fault = "a copy to an address in shared memory that is not aligned";
  sent[threadIdx.x].push_back({to, is_there && is_inside(from, COUNT * 4, COUNT * 4) ? from : nullptr, COUNT});
}

static void wait_for_sent() {
  for (const Sent& one : sent[threadIdx.x])
    if (one.from)
      std::memcpy(one.to, one.from, 4 * one.count);
    else
      std::memset(one.to, 0, 4 * one.count);
  sent[threadIdx.x].clear();
}

static std::vector<ucontext_t> threads;
static std::vector<char> is_done;
static ucontext_t scheduler;
static std::function<void()> body;

static void __syncthreads() { swapcontext(&threads[threadIdx.x], &scheduler); }

static void begin() {
  body();
  is_done[threadIdx.x] = 1;
}

static void run_block(unsigned count, std::mt19937& random, std::vector<char>& stacks) {
  constexpr size_t size = 1 << 16;
  stacks.resize(count * size);
  threads.resize(count);
  is_done.assign(count, 0);
  sent.assign(count, {});
  std::vector<unsigned> order(count);
  for (unsigned t = 0; t < count; ++t) {
    order[t] = t;
    getcontext(&threads[t]);
    threads[t].uc_stack.ss_sp = &stacks[t * size];
    threads[t].uc_stack.ss_size = size;
    threads[t].uc_link = &scheduler;
    makecontext(&threads[t], begin, 0);
  }
  for (size_t left = count; left;) {
    std::shuffle(order.begin(), order.end(), random);
    for (unsigned t : order) {
      threadIdx = {t, 0};
      swapcontext(&scheduler, &threads[t]);
    }
    left = count - std::count(is_done.begin(), is_done.end(), 1);
    if (left && left < count) {
      fault = "a barrier that not all threads of a block reach";
      return;
    }
  }
  for (const auto& one : sent)
    if (!one.empty()) fault = "copies that nothing waited for";
}

template <typename... ARGUMENTS, size_t... PLACES>
static void call(void (*kernel)(ARGUMENTS...), void** arguments, std::index_sequence<PLACES...>) {
  kernel(*(ARGUMENTS*)arguments[PLACES]...);
}

// Runs a kernel with arguments as cuLaunchKernel takes them; the answer is what went wrong, or nothing.
template <typename... ARGUMENTS>
static const char* launch(void (*kernel)(ARGUMENTS...), unsigned columns, unsigned rows, unsigned count, int given,
                          void** arguments, int ranges, const uintptr_t* range, unsigned seed) {
  if (given != (int)sizeof...(ARGUMENTS)) return "another number of arguments than the kernel has";
  std::mt19937 random(seed);
  std::vector<char> stacks;
  operands.clear();
  for (int r = 0; r < ranges; ++r)
    operands.push_back({range[2 * r], range[2 * r + 1]});
  fault.clear();
  body = [=] { call(kernel, arguments, std::index_sequence_for<ARGUMENTS...>()); };
  blockDim = {count, 1};
  for (unsigned y = 0; y < rows && fault.empty(); ++y)
    for (unsigned x = 0; x < columns && fault.empty(); ++x) {
      blockIdx = {x, y};
      run_block(count, random, stacks);
    }
  return fault.c_str();
}

// A name of C for an instance of a kernel, whose own name has commas.
#define ENTRY(NUMBER, ...)                                                                                           \
  extern "C" const char* entry##NUMBER(unsigned columns, unsigned rows, unsigned count, int given, void** arguments, \
                                       int ranges, const uintptr_t* range, unsigned seed) {                          \
    return launch(__VA_ARGS__, columns, rows, count, given, arguments, ranges, range, seed);                         \
  }
