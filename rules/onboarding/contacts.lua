-- SPDX-License-Identifier: MIT
-- Contacts: who is told, who is asked, where, and how long we wait.
--
-- Input   facts.user (the account's owner), facts.contract.signatories, facts.account
-- Output  see choose() below
-- Example an owner without a usable address: owner is null and notify_to is { DESK }.

local DESK = "cs-desk@gangway.example"       -- gets what no owner can get, or will read
local CHANNEL = "#cs-onboarding"             -- Slack: what goes well, what waits
local ALERTS = "#cs-onboarding-alerts"       -- Slack: what is blocked
local APPROVER_ROLE = "cs-lead"              -- who may approve an escalation
local APPROVAL_DUE = "72h"                   -- an escalation that nobody answered is blocked then
local APPROVAL_REMINDER = "48h"              -- reminded of it after this time
local EMAIL = "^[^%s@<>,;:\"]+@[^%s@<>,;:\"]+%.[^%s@<>,;:\"]+$"

local NAME_MAX = 200 -- bytes; what is longer is cut

-- A name stands in subjects and messages: one line, not long, and without the characters that turn
-- the direction of what follows (U+202A to U+202E, U+2066 to U+2069).
local function one_line(text)
  text = string.gsub(string.gsub(text, "\226\128[\170-\174]", ""), "\226\129[\166-\169]", "")
  text = string.gsub(text, "%c+", " ")
  if #text > NAME_MAX then
    text = string.gsub(string.sub(text, 1, NAME_MAX - 3), "[\192-\255][\128-\191]*$", "") .. "..."
  end
  return text
end

-- { name, email }, or null when there is no address that a mail could go to.
local function person(name, email)
  if missing(email) or not string.find(email, EMAIL) then
    return null
  end
  return { name = has(name) and one_line(name) or email, email = email }
end

-- The first signatory of the customer, in the contract's order, who has an address.
local function customer_of(contract)
  for _, one in ipairs(get(contract, "signatories") or {}) do
    local found = one.customer == true and person(one.name, one.email) or null
    if found ~= null then
      return found
    end
  end
  return null
end

-- The account's owner; the desk when there is none, and as well when the owner has left.
local function notify(owner, user)
  if owner == null then
    return { DESK }
  end
  return user.IsActive == false and { owner.email, DESK } or { owner.email }
end

return {
  choose = function(v)
    local user = get(v, "facts.user")
    local contract = get(v, "facts.contract")
    local owner = has(user) and person(user.Name, user.Email) or null
    local name = get(v, "facts.account.Name")
    return {
      owner = owner,
      customer = has(contract) and customer_of(contract) or null,
      account_name = has(name) and one_line(name) or v.account_id,
      notify_to = notify(owner, user),
      desk = DESK,
      channel = CHANNEL,
      alerts = ALERTS,
      approver_role = APPROVER_ROLE,
      approval_due = APPROVAL_DUE,
      approval_reminder = APPROVAL_REMINDER,
    }
  end,
}
