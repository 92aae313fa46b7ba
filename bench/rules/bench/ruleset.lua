-- SPDX-License-Identifier: MIT
-- The computations of workload W1: five domains checked, a decision made.
return {
  name = "bench", version = "1", summary = "What the peers of the benchmark compute",
  domains = {}, decide = "w1.decide", decisions = { "approve", "review" },
}
