// The reference that CRAM bases are restored from. Private to io.
#pragma once

#include <htslib/sam.h>

#include <string>
#include <vector>

#include "io/dna/alignment_record.hpp"

namespace strandline {

/// A directory of our own that goes away with its owner.
class TemporaryDirectory {
 public:
  TemporaryDirectory() = default;
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  /// Creates it the first time. @throws IoError.
  const std::string& path();

 private:
  std::string path_;
};

/// A reference FASTA with its index. Where `path`.fai is missing, the index is made in a temporary directory, never
/// beside the input. HTSlib would restore bases from any reference that has the right names; so lengths and MD5 sums
/// (@SQ LN, M5) are compared here.
class CramReference {
 public:
  /// @throws IoError (missing), DataError (empty, no FASTA, plain gzip).
  explicit CramReference(const std::string& path);

  /// The path to give to HTSlib.
  const std::string& indexed_path() const { return indexed_path_; }
  /// @throws DataError when contig `tid` of `header` is absent from the reference, or differs from it. Looks once per
  /// contig.
  void check_contig(const sam_hdr_t& header, int tid, const std::string& alignment_name);
  /// The same for every contig, after a record could not be decoded: says which one is at fault, if any.
  void check_all(const sam_hdr_t& header, const std::string& alignment_name);

 private:
  void make_index();
  std::string md5_of(const std::string& contig, hts_pos_t length) const;

  std::string path_;
  std::string indexed_path_;
  TemporaryDirectory directory_;
  FaidxPtr index_;
  std::vector<bool> checked_;
};

/// Takes M5 and UR off the @SQ lines that HTSlib's CRAM decoder works with: it would look those sequences up in
/// REF_PATH, in a cache or on the network (the default of HTSlib before 1.22). No environment variable is touched.
void forbid_reference_lookup(htsFile& cram);

}  // namespace strandline
