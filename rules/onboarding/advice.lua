-- SPDX-License-Identifier: MIT
-- Advice: what the rules say when no language model could be asked, or its answer was no good.
--
-- Input   account_id, today, facts, errors, verdict { decision, reasons, violations, warnings }
-- Output  the same shapes as the schemas of prompts/{risk,summary,actions,errors}.md
-- Example verdict.decision = "ESCALATE": risk().level is "medium".
--
-- Nobody decides by this: it is shown to people (README of graphs/onboarding).

local CRITICAL_RULES = { ["account.deleted"] = true, ["invoice.voided"] = true, ["invoice.cancelled"] = true }
local CRITICAL_ERRORS = 2 -- systems without an answer; this many make the risk critical
local ACTIONS_MAX = 8     -- actions in a plan
local REASONS_MAX = 6     -- reasons of a risk

-- The five who act; what other owners have to do goes to one of these.
local OWNERS = {
  ["CS"] = "CS",
  ["Finance"] = "Finance",
  ["IT/DevOps"] = "IT/DevOps",
  ["Legal"] = "Legal",
  ["Sales Ops"] = "Sales Ops",
  ["Data Admin"] = "Sales Ops",
}
local OTHER_OWNER = "IT/DevOps" -- System Admin, Integration Admin, Support Team ...

local IMPACT = {
  low = "None: the customer gets access as agreed.",
  medium = "The customer waits for access until a person has approved.",
  high = "The customer gets no access until the causes are mended.",
  critical = "The customer gets no access, and the contract itself may be in question.",
}
local TIME = {
  low = "none needed",
  medium = "1-2 business days",
  high = "2-5 business days",
  critical = "more than 5 business days",
}

-- Plain words for what kinds of error mean.
local MEANING = {
  authentication = "The system did not accept our login.",
  authorization = "Our user may not see this record.",
  validation = "The system refused the question as it was asked.",
  not_found = "The system has no record of this account.",
  conflict = "The systems contradict each other.",
  rate_limit = "We have asked the system too often and must wait.",
  server = "The system had a fault of its own.",
  timeout = "The system did not answer in time.",
  network = "The system could not be reached.",
  malformed_reply = "The system answered in a form that makes no sense.",
  circuit_open = "The system failed so often that we leave it alone for a while.",
  policy = "Our own settings forbid this call.",
  unsure = "It is not known whether the system did what was asked.",
  plugin_bug = "The part of Gangway that talks to the system has a fault.",
  execution = "The question could not be put to the system.",
}
local OTHER_MEANING = "The system did not answer as it should."

local function first(value, otherwise)
  return has(value) and value or otherwise
end

local function system_of(e)
  return first(e.system, "A system")
end

-- { decision, violations, warnings, errors }: never nil.
local function seen(v)
  local verdict = first(v.verdict, {})
  return {
    decision = first(verdict.decision, "BLOCK"),
    violations = first(verdict.violations, {}),
    warnings = first(verdict.warnings, {}),
    errors = first(v.errors, {}),
  }
end

local function level_of(s)
  if #s.errors >= CRITICAL_ERRORS then
    return "critical"
  end
  for _, f in ipairs(s.violations) do
    if CRITICAL_RULES[f.id] == true then
      return "critical"
    end
  end
  if s.decision == "BLOCK" then
    return "high"
  end
  return s.decision == "ESCALATE" and "medium" or "low"
end

local function meaning_of(e)
  return MEANING[first(e.error_type, "")] or OTHER_MEANING
end

-- What was found, worst first, as texts.
local function findings(s)
  local found = {}
  for _, e in ipairs(s.errors) do
    table.insert(found, system_of(e) .. ": " .. meaning_of(e))
  end
  for _, f in ipairs(s.violations) do
    table.insert(found, first(f.message, f.id))
  end
  for _, f in ipairs(s.warnings) do
    table.insert(found, first(f.message, f.id))
  end
  return found
end

local function cut(found, max)
  local result = {}
  for i, one in ipairs(found) do
    if i <= max then
      table.insert(result, one)
    end
  end
  return list(result)
end

-- Adds an order to the plan; what the same owner shall do once is there once.
local function add(plan, owner, action, reason)
  local who = OWNERS[first(owner, "")] or OTHER_OWNER
  for _, one in ipairs(plan) do
    if one.owner == who and one.action == action then
      return
    end
  end
  table.insert(plan, { priority = #plan + 1, owner = who, action = action, reason = reason })
end

local HEADLINE = {
  PROCEED = "is ready: the tenant is being provisioned",
  ESCALATE = "waits for an approval",
  BLOCK = "is blocked",
}
local NEXT_STEP = {
  PROCEED = "Agree on a date for the kickoff with the customer.",
  ESCALATE = "Approve or reject the escalation.",
  BLOCK = "Mend what the report names, then start the onboarding again.",
}

local function customer_name(v)
  return first(get(v, "facts.account.Name"), first(v.account_id, "The customer"))
end

local function who_sentence(v)
  local industry = get(v, "facts.account.Industry")
  local country = get(v, "facts.account.BillingCountry")
  return "The customer is " .. customer_name(v)
    .. (has(industry) and ", " .. industry or "")
    .. (has(country) and ", " .. country or "") .. "."
end

local function counted(count, one, many)
  return count .. " " .. (count == 1 and one or many)
end

local function standing_sentence(s)
  if s.decision == "PROCEED" then
    return "All systems answered and no rule fired."
  end
  return "The check found " .. counted(#s.violations, "violation", "violations") .. ", "
    .. counted(#s.warnings, "warning", "warnings") .. " and "
    .. counted(#s.errors, "system without an answer", "systems without an answer") .. "."
end

return {
  risk = function(v)
    local s = seen(v)
    local level = level_of(s)
    local reasons = findings(s)
    if #reasons == 0 then
      table.insert(reasons, "All systems answered and no rule fired")
    end
    return {
      level = level,
      business_impact = IMPACT[level],
      resolution_time = TIME[level],
      reasons = cut(reasons, REASONS_MAX),
    }
  end,

  summary = function(v)
    local s = seen(v)
    local found = findings(s)
    local text = who_sentence(v) .. " " .. standing_sentence(s)
    if #found > 0 then
      text = text .. " The most important: " .. string.gsub(found[1], "%.$", "") .. "."
    end
    return {
      headline = customer_name(v) .. " " .. (HEADLINE[s.decision] or HEADLINE.BLOCK),
      summary = text,
      next_step = NEXT_STEP[s.decision] or NEXT_STEP.BLOCK,
    }
  end,

  actions = function(v)
    local s = seen(v)
    local plan = {}
    for _, e in ipairs(s.errors) do
      local what = first(e.resolution, "Find out why " .. system_of(e) .. " does not answer")
      add(plan, e.owner, what, system_of(e) .. ": " .. meaning_of(e))
    end
    for _, f in ipairs(s.violations) do
      add(plan, f.owner, first(f.fix, "Mend " .. f.id), first(f.message, f.id))
    end
    for _, f in ipairs(s.warnings) do
      add(plan, f.owner, first(f.fix, "Look at " .. f.id), first(f.message, f.id))
    end
    if s.decision == "PROCEED" then
      add(plan, "CS", "Offer the customer dates for the kickoff", "The tenant is being provisioned")
      add(plan, "CS", "Check with the customer that the first login works", "It is the first thing they see")
    elseif s.decision == "ESCALATE" then
      add(plan, "CS", "Approve or reject the escalation", "The onboarding waits for it")
    else
      add(plan, "CS", "Tell the customer about the delay", "They expect access")
    end
    return { actions = cut(plan, ACTIONS_MAX) }
  end,

  errors = function(v)
    local told = list({})
    for _, e in ipairs(first(v.errors, {})) do
      table.insert(told, {
        error_code = tostring(first(e.error_code, "UNKNOWN")),
        meaning = system_of(e) .. ": " .. meaning_of(e),
        what_to_do = first(e.resolution, "Try again later; tell the owner if it stays."),
        owner = first(e.owner, "Support Team"),
      })
    end
    return { errors = told }
  end,
}
