// Someone else's program: reads a FASTA file and runs a small encoder over it on the CPU.
#include <cstdio>

#include <strandline/core/tensor/buffer.hpp>

int main() {
  strandline::HostMemory memory;
  const strandline::Buffer buffer(memory, strandline::DType::f32, {2, 3});
  std::printf("%zu bytes\n", buffer.size_bytes());
  return buffer.size_bytes() == 24 ? 0 : 1;
}
