// The records of some regions, by index. Private to io.
#pragma once

#include <htslib/sam.h>

#include <string>
#include <vector>

#include "io/dna/alignment_record.hpp"

namespace strandline {

/// Goes through the regions in the order of the header's contigs (that is, of the sorted file), overlapping ones
/// merged, and gives a record that touches several of them once. Not HTSlib's own iterator of many regions: the one for
/// CRAM of version 1.16 reads an uninitialised field and then at times leaves out contigs without a word.
class RegionIterator {
 public:
  /// `regions` are written as for samtools: contig, contig:begin, contig:begin-end (from 1, end included), "*" for the
  /// reads without a place.
  /// @throws DataError: no index, an unknown contig (names those at hand), a region that cannot be understood.
  RegionIterator(htsFile& file, const sam_hdr_t& header, const std::string& path,
                 const std::vector<std::string>& regions);

  /// As sam_read1: 0 or more for a record, -1 at the end, less for an error.
  int next(bam1_t& record);

 private:
  struct Region {
    int tid = 0;
    hts_pos_t begin = 0;
    hts_pos_t end = 0;
  };

  Region parse(const std::string& region, const std::string& name) const;
  void merge();

  htsFile& file_;
  const sam_hdr_t& header_;
  IndexPtr index_;
  std::vector<Region> regions_;
  std::size_t current_ = 0;
  IteratorPtr iterator_;
};

/// The contigs at hand, for an error: "Its contigs are 'chr1', 'chr2', ... (194 in all)".
std::string contig_list(const sam_hdr_t& header);

}  // namespace strandline
