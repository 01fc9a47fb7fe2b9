// Someone else's program: the mean of an encoder's output for every record of a FASTA file, on the CPU.
#include <cstdio>
#include <strandline/core/cpu/cpu_backend.hpp>
#include <strandline/core/model/classifier.hpp>
#include <strandline/core/vocab/dna.hpp>
#include <strandline/io/dna/sequence_stream.hpp>
#include <vector>

int main(int, char** argv) {
  const auto backend = strandline::make_cpu_backend();
  strandline::Classifier classifier({.encoder = {.d_model = 64, .layers = 2}}, *backend);
  classifier.initialise(1);

  const auto sequences = strandline::open_sequences(argv[1]);
  strandline::SequencePiece piece;
  std::vector<float> embedding(64);
  while (sequences->next(piece)) {
    std::vector<std::int32_t> ids(piece.bases.size());
    strandline::dna::tokenize(piece.bases, ids.data());
    strandline::PackedBatch batch;
    batch.add(ids);
    classifier.embed(batch, embedding);
    std::printf("%s: %zu bases, first number %.3f\n", piece.name.c_str(), piece.bases.size(), embedding[0]);
  }
}
