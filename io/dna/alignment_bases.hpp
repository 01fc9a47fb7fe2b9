// From the four-bit bases of an alignment to letters, in the direction in which the machine read them. Private to io.
#pragma once

#include <htslib/sam.h>

#include <string>

namespace strandline {

/// Bases and qualities (ASCII, offset 33) in sequencing orientation: a record with flag 16 is reverse-complemented.
/// SEQ '*' gives no bases, QUAL '*' no qualities. Cost: one table look-up for two bases.
void decode_bases(const bam1_t& record, std::string& bases);
void decode_qualities(const bam1_t& record, std::string& qualities);

}  // namespace strandline
