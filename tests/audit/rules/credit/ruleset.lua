-- SPDX-License-Identifier: MIT
-- Who may have how much: large amounts are asked for.
return {
  name = "credit", version = "1", summary = "Who may have how much",
  domains = { "amount" }, decisions = { "PAY", "ASK" }, decide = "decision.decide",
}
