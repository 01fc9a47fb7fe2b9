// How fast records and bases come out of a file: docs/benchmarks/readers.md.
//   reader_bench FILE [THREADS [REFERENCE]]
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "io/dna/sequence_stream.hpp"

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fputs("usage: reader_bench FILE [THREADS [REFERENCE]]\n", stderr);
    return 2;
  }
  strandline::ReadOptions options;
  options.exclude_flags = 0;
  if (argc > 2) options.decode_threads = std::stoi(argv[2]);
  if (argc > 3) options.reference = argv[3];
  const auto begin = std::chrono::steady_clock::now();
  const auto stream = strandline::open_sequences(argv[1], options);
  strandline::SequencePiece piece;
  long long bases = 0;
  while (stream->next(piece)) bases += static_cast<long long>(piece.bases.size());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%lld records, %lld bases, %.2f s\n", static_cast<long long>(stream->counts().records), bases, seconds);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
