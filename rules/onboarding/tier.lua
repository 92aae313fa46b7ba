-- SPDX-License-Identifier: MIT
-- Tier: what the customer gets for what the deal is worth.
--
-- Input   facts.opportunity.Amount   of the deal, per year
-- Output  { tier, plan, amount, reason, configuration }: configuration goes to provisioning as it stands
-- Example Amount = 60000 gives Growth: 25,000 are reached, 100,000 are not.
--
-- An amount that is missing, or in another currency, has made a rule warn: a person approved what comes
-- here, and the smallest tier that the amount reaches is given.

local ENTERPRISE_FROM = 100000 -- USD per year
local GROWTH_FROM = 25000      -- USD per year; everything below is Starter

local TIERS = {
  Enterprise = {
    plan = "enterprise",
    configuration = {
      seats = 1000,              -- users
      storage_gb = 2000,         -- gigabytes
      api_calls_per_minute = 3000,
      environments = { "production", "staging", "sandbox" },
      features = { "api", "sso", "custom_reports", "audit_log", "priority_queue" },
      support = "24x7",
      support_response_hours = 1,
      backup_days = 90,
    },
  },
  Growth = {
    plan = "growth",
    configuration = {
      seats = 200,
      storage_gb = 500,
      api_calls_per_minute = 600,
      environments = { "production", "sandbox" },
      features = { "api", "sso", "custom_reports" },
      support = "business hours",
      support_response_hours = 8,
      backup_days = 30,
    },
  },
  Starter = {
    plan = "starter",
    configuration = {
      seats = 25,
      storage_gb = 50,
      api_calls_per_minute = 60,
      environments = { "production" },
      features = { "api" },
      support = "e-mail",
      support_response_hours = 24,
      backup_days = 7,
    },
  },
}

local function name_for(amount)
  if amount >= ENTERPRISE_FROM then
    return "Enterprise", "from " .. money(ENTERPRISE_FROM, "USD")
  end
  if amount >= GROWTH_FROM then
    return "Growth", "from " .. money(GROWTH_FROM, "USD")
  end
  return "Starter", "below " .. money(GROWTH_FROM, "USD")
end

return {
  choose = function(v)
    local amount = get(v, "facts.opportunity.Amount")
    local known = has(amount)
    local name, reason = name_for(known and number(amount) or 0)
    if not known then
      reason = "the amount is not known: the smallest"
    end
    return {
      tier = name,
      plan = TIERS[name].plan,
      amount = known and number(amount) or null,
      reason = reason,
      configuration = TIERS[name].configuration,
    }
  end,
}
