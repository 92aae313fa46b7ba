-- SPDX-License-Identifier: MIT
-- Workload W1: the same checks and the same decision as the peers' workload.

local function matches(text, pattern)
  return type(text) == "string" and string.find(text, pattern) ~= nil
end

-- The IBAN's remainder by 97 (ISO 13616).
local function iban_holds(iban)
  local text = string.sub(iban, 5) .. string.sub(iban, 1, 4)
  local rest = 0
  for i = 1, #text do
    local code = string.byte(text, i)
    local value = code >= 65 and code - 55 or code - 48
    rest = (value > 9 and rest * 100 + value or rest * 10 + value) % 97
  end
  return rest == 1
end

local function moved(transactions)
  local sum = 0
  for _, transaction in ipairs(transactions) do
    sum = sum + transaction.a
  end
  return sum
end

local function validate(p)
  local customer, address, document = p.kyc.customer, p.kyc.address, p.kyc.document
  local bank, profile = p.bank, p.profile
  local domains = {
    identity = { ok = has(customer.first_name) and has(customer.last_name)
      and matches(customer.dob, "^%d%d%d%d%-%d%d%-%d%d$") and customer.dob < "2008-01-01"
      and matches(document.number, "^[A-Z0-9]+$") and #document.number >= 6 and #document.number <= 12
      and document.expires > "2026-01-01" and count(p.kyc.watchlist) == 0, n = 7 },
    address = { ok = #address.street > 3 and #address.city > 1
      and matches(address.zip, "^%d%d%d%d%d$") and #address.country == 2, n = 4 },
    contact = { ok = matches(customer.email, "^[^@%s]+@[^@%s]+%.%a%a+$")
      and matches(customer.phone, "^%+%d+$") and #customer.phone >= 9 and #customer.phone <= 16, n = 2 },
    banking = { ok = matches(bank.iban, "^[A-Z][A-Z]%d%d[A-Z0-9]+$") and iban_holds(bank.iban)
      and matches(bank.bic, "^[A-Z0-9]+$") and #bank.bic >= 8 and #bank.bic <= 11
      and bank.owner == customer.first_name .. " " .. customer.last_name
      and moved(bank.transactions) < 1e6, n = 5 },
    tax = { ok = matches(profile.tax_id, "^%d+$") and #profile.tax_id == 11
      and profile.residency == address.country and profile.income > 0, n = 3 },
  }
  local passed = 0
  for _, domain in pairs(domains) do
    passed = passed + (domain.ok and 1 or 0)
  end
  return { domains = domains, passed = passed, total = 5, score = profile.score }
end

local function decide(p)
  local risk = string.match(p.llm.choices[1].message.content, "risk=(%w+)")
  local v = p.validation
  local approves = v.passed == v.total and risk == "low" and v.score >= 600
  return {
    decision = approves and "approve" or "review", risk = risk, score = v.score,
    rule = "all-domains-and-low-risk", tier = v.score > 700 and "standard" or "basic",
  }
end

return { validate = validate, decide = decide }
