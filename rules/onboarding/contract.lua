-- SPDX-License-Identifier: MIT
-- Contract: is it signed by everybody, and do we know how long it runs?
--
-- Input   facts.contract  contract_id, status (DRAFT, SENT, SIGNED, EXECUTED, ...), effective_date,
--                         expiry_date (YYYY-MM-DD), amended, contracts (how many are in force),
--                         signatories: list of { name, email, role, state, customer }
-- Example status SENT and one signatory with state PENDING gives the violation contract.not_executed and the
--         warning contract.pending_signatories: BLOCK.

local SIGNED_STATUSES = { SIGNED = true, EXECUTED = true }  -- any other status blocks
local SIGNED_STATES = { SIGNED = true, COMPLETED = true }    -- of a signatory; any other is pending
local EMAIL = "^[^%s@<>,;:\"]+@[^%s@<>,;:\"]+%.[^%s@<>,;:\"]+$"

-- The names of those for whom test() holds, as one text.
local function names(signatories, test)
  local found = {}
  for _, one in ipairs(signatories or {}) do
    if test(one) then
      table.insert(found, has(one.name) and one.name or "(no name)")
    end
  end
  return #found, table.concat(found, ", ")
end

local function is_pending(one)
  return not (has(one.state) and SIGNED_STATES[one.state] == true)
end

local function is_customer_with_email(one)
  return one.customer == true and has(one.email) and string.find(one.email, EMAIL) ~= nil
end

return {
  domain = "contract",
  subject = "facts.contract",
  rules = {
    {
      id = "contract.missing_id",
      severity = "violation",
      owner = "Legal",
      fires = function(contract)
        return missing(contract.contract_id)
      end,
      message = "The contract system has no contract id for this account",
      fix = "Send the contract from the contract system, with the account's number in its fields",
    },
    {
      id = "contract.not_executed",
      severity = "violation",
      owner = "Legal",
      fires = function(contract)
        return not (has(contract.status) and SIGNED_STATUSES[contract.status] == true)
      end,
      message = "The contract {contract_id} has the status {status}; it must be SIGNED or EXECUTED",
      fix = "Get the contract signed; start the onboarding again afterwards",
    },
    {
      id = "contract.missing_effective_date",
      severity = "warning",
      owner = "Legal",
      fires = function(contract)
        return missing(contract.effective_date)
      end,
      message = "The contract {contract_id} has no effective date",
      fix = "Enter the first day of the contract in the contract system",
    },
    {
      id = "contract.missing_expiry_date",
      severity = "warning",
      owner = "Legal",
      fires = function(contract)
        return missing(contract.expiry_date)
      end,
      message = "The contract {contract_id} has no expiry date",
      fix = "Enter the last day of the contract in the contract system",
    },
    {
      id = "contract.expired",
      severity = "warning",
      owner = "Legal",
      fires = function(contract)
        return is_date(contract.expiry_date) and days_between(contract.expiry_date, today()) > 0
      end,
      message = "The contract {contract_id} expired on {expiry_date}",
      fix = "Renew the contract, or confirm that the customer may start without it",
    },
    {
      id = "contract.pending_signatories",
      severity = "warning",
      owner = "Legal",
      fires = function(contract)
        local pending, who = names(contract.signatories, is_pending)
        return pending > 0, { pending = pending, who = who }
      end,
      message = "{pending} of the contract's signatories have not signed: {who}",
      fix = "Remind them, or confirm that their signatures are not needed",
    },
    {
      id = "contract.missing_customer_email",
      severity = "warning",
      owner = "CS",
      fires = function(contract)
        return names(contract.signatories, is_customer_with_email) == 0
      end,
      message = "The contract {contract_id} names no customer with an e-mail address, so nobody can be welcomed",
      fix = "Ask the customer who is to get access, and welcome that person by hand",
    },
    {
      id = "contract.amended",
      severity = "warning",
      owner = "Legal",
      fires = function(contract)
        return contract.amended == true
      end,
      message = "The account has {contracts} contracts in force (an amendment?); {contract_id} was taken",
      fix = "Confirm which terms hold",
    },
  },
}
