-- SPDX-License-Identifier: MIT
-- The rule set "onboarding": may a customer who bought be given a tenant?
--
-- A violation blocks, a warning asks a person (decision.lua).  One file per domain; the version is for
-- people and is raised with every change, the record keeps the hash of the whole folder as well.

return {
  name = "onboarding",
  version = "2026.11.1",
  summary = "Account, opportunity, contract, invoice and owner of a new customer",
  domains = { "account", "opportunity", "contract", "invoice", "user" },
  decisions = { "PROCEED", "ESCALATE", "BLOCK" },
  decide = "decision.decide",
}
