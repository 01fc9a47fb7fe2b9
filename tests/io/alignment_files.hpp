// Alignment files for tests, made with HTSlib itself from a text.
#pragma once

#include <htslib/faidx.h>
#include <htslib/sam.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace strandline::testing {

/// Writes SAM text as "wb" (BAM), "wc" (CRAM), "wbu" ... and indexes it when it can be.
inline void write_alignments(const std::string& path, const char* mode, const std::string& sam_text,
                             const std::string& reference = {}) {
  const std::string source = path + ".source.sam";
  std::ofstream(source) << sam_text;
  samFile* in = sam_open(source.c_str(), "r");
  samFile* out = sam_open(path.c_str(), mode);
  sam_hdr_t* header = in == nullptr ? nullptr : sam_hdr_read(in);
  bam1_t* record = bam_init1();
  bool good = header != nullptr && out != nullptr;
  if (good && !reference.empty()) good = hts_set_fai_filename(out, (reference + ".fai").c_str()) == 0;
  if (good) good = sam_hdr_write(out, header) == 0;
  int status = -2;
  while (good && (status = sam_read1(in, header, record)) >= 0) good = sam_write1(out, header, record) >= 0;
  bam_destroy1(record);
  sam_hdr_destroy(header);
  if (in != nullptr) sam_close(in);
  if (out != nullptr && sam_close(out) != 0) good = false;
  if (!good || status != -1) throw std::runtime_error("cannot write " + path);
}

inline void write_index(const std::string& path) {
  if (sam_index_build(path.c_str(), 0) != 0) throw std::runtime_error("cannot index " + path);
}

/// The records of an alignment file as SAM lines, the first line being the header.
inline std::vector<std::string> sam_lines(const std::string& path) {
  std::vector<std::string> lines;
  samFile* in = sam_open(path.c_str(), "r");
  sam_hdr_t* header = in == nullptr ? nullptr : sam_hdr_read(in);
  if (header == nullptr) throw std::runtime_error("cannot read " + path);
  lines.emplace_back(sam_hdr_str(header));
  bam1_t* record = bam_init1();
  kstring_t text = KS_INITIALIZE;
  while (sam_read1(in, header, record) >= 0) {
    if (sam_format1(header, record, &text) < 0) throw std::runtime_error("cannot format a record of " + path);
    lines.emplace_back(text.s, text.l);
  }
  ks_free(&text);
  bam_destroy1(record);
  sam_hdr_destroy(header);
  sam_close(in);
  return lines;
}

}  // namespace strandline::testing
