-- SPDX-License-Identifier: MIT
return {
  name = "small",
  version = "1",
  summary = "One rule, which a case replaces by a hostile one",
  domains = { "thing" },
  decisions = { "YES", "NO" },
  decide = "decision.decide",
}
