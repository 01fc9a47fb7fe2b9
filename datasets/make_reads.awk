# Simulated long reads as unaligned SAM records: random starts, lengths and strands, substitutions at a fixed rate.
#   awk -v species=yeast -v count=100 -v shortest=800 -v longest=6000 -v errors=0.03 -v seed=1 -f make_reads.awk GENOME.fa
# A read is named species_number, so that the answer can be checked. The same numbers give the same reads everywhere: the
# generator is Park and Miller's (Communications of the ACM 31, 1988), exact in double precision.
function uniform() {
  state = (16807 * state) % 2147483647
  return state / 2147483647
}

function below(bound) { return int(uniform() * bound) }

function complement_of(letters,    out, at) {
  out = ""
  for (at = length(letters); at > 0; at--) out = out pair[substr(letters, at, 1)]
  return out
}

BEGIN {
  state = seed * 7919 + 1
  for (warm_up = 0; warm_up < 10; warm_up++) uniform()
  pair["A"] = "T"; pair["C"] = "G"; pair["G"] = "C"; pair["T"] = "A"
  contigs = rows = total = refused = 0
}

# Ends a contig: its rows joined two by two, because appending them one by one would copy the whole for each.
function end_contig(    row, joined) {
  while (rows > 1) {
    joined = 0
    for (row = 1; row <= rows; row += 2) piece[++joined] = piece[row] (row < rows ? piece[row + 1] : "")
    rows = joined
  }
  if (rows == 1) bases[++contigs] = piece[1]
  rows = 0
}

/^>/ { end_contig(); next }
{ piece[++rows] = toupper($0); total += length($0) }

END {
  end_contig()
  for (number = 1; number <= count; ) {
    size = shortest + below(longest - shortest + 1)
    start = below(total)
    for (contig = 1; start >= length(bases[contig]); contig++) start -= length(bases[contig])
    read = substr(bases[contig], start + 1, size)
    if (length(read) < size || read ~ /[^ACGT]/) {
      if (++refused > 1000 * count) { print "make_reads: no stretch of " size " plain bases" > "/dev/stderr"; exit 65 }
      continue
    }
    if (uniform() < 0.5) read = complement_of(read)
    changed = ""
    quality = ""
    for (at = 1; at <= size; at++) {
      letter = substr(read, at, 1)
      if (uniform() < errors) letter = substr("ACGT", 1 + (index("ACGT", letter) + below(3)) % 4, 1)
      changed = changed letter
      quality = quality "0"
    }
    print species "_" number "\t4\t*\t0\t0\t*\t*\t0\t0\t" changed "\t" quality
    number++
  }
}
