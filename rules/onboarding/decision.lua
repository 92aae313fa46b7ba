-- SPDX-License-Identifier: MIT
-- Decision: what follows from what the rules found.
--
-- Input   violations, warnings  what fired: { id, message, owner, ... }
--         errors                what the systems failed to answer: { system, error_code, message, ... }
--         outcomes              every rule with its result: fired, passed or absent
-- Output  BLOCK     an API error or a violation: nothing is provisioned
--         ESCALATE  only warnings: a person must approve
--         PROCEED   nothing at all
--         and the reasons, worst first
-- Example one warning, no violation, no error: ESCALATE, { "invoice.overdue: Invoice INV-1003 is ..." }

-- Domains that must have been looked at.  The owner (user) may be absent when the account has none:
-- account.missing_owner has warned of that.
local NEEDED = { "account", "opportunity", "contract", "invoice" }

local function error_reason(e)
  return "No data from " .. (has(e.system) and e.system or "a system") .. ": "
    .. (has(e.error_code) and e.error_code or "unknown error")
    .. (has(e.message) and " (" .. e.message .. ")" or "")
end

-- A domain that nobody answered for although nobody reported an error: never a reason to go on.
local function unseen(v)
  local seen = {}
  for _, outcome in ipairs(v.outcomes) do
    if outcome.result ~= "absent" then
      seen[outcome.domain] = true
    end
    if outcome.id == "account.missing_owner" and outcome.result == "fired" then
      seen.user = true
    end
  end
  local found = {}
  for _, domain in ipairs(NEEDED) do
    if not seen[domain] then
      table.insert(found, domain)
    end
  end
  if not seen.user then
    table.insert(found, "user")
  end
  return found
end

return {
  decide = function(v)
    local reasons = {}
    for _, e in ipairs(v.errors) do
      table.insert(reasons, error_reason(e))
    end
    for _, f in ipairs(v.violations) do
      table.insert(reasons, f.id .. ": " .. f.message)
    end
    if #v.errors == 0 then
      for _, domain in ipairs(unseen(v)) do
        table.insert(reasons, "Nothing is known of the " .. domain)
      end
    end
    if #reasons > 0 then
      return "BLOCK", reasons
    end
    for _, f in ipairs(v.warnings) do
      table.insert(reasons, f.id .. ": " .. f.message)
    end
    if #reasons > 0 then
      return "ESCALATE", reasons
    end
    return "PROCEED", { "All systems answered and no rule fired" }
  end,
}
