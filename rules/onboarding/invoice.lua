-- SPDX-License-Identifier: MIT
-- Invoice: has the customer paid, and if not, should somebody look first?
--
-- Input   facts.invoice   id, tranId, status, voided, dueDate (YYYY-MM-DD), total, amountRemaining, currency
--         facts.invoices  how many invoices the account has
--         facts.opportunity.CurrencyIsoCode, to compare the currency with
-- Example dueDate 27 days ago, total 48000, amountRemaining 48000 gives the warnings invoice.overdue and
--         invoice.underpaid: ESCALATE.  The same invoice with amountRemaining 0 gives nothing.
--
-- "Overdue" is counted from today(), the recorded day of the check: a replay next year says the same.

local MIN_PAID_PERCENT = 50 -- percent of the total; an invoice paid to a smaller part is underpaid
local OVERDUE_AFTER_DAYS = 0 -- days after the due date that are still forgiven
local INVOICES_MAX = 1      -- invoices of an account; more, and nobody knows which one is meant
local CURRENCY = "USD"      -- ISO code that is expected when the opportunity names none

-- What NetSuite calls the states of an invoice.
local KNOWN_STATUSES = { open = true, paid = true, ["paid in full"] = true }

local function status_of(invoice)
  local status = string.lower(has(invoice.status) and tostring(invoice.status) or "")
  return (string.gsub(string.gsub(status, "^invoice : ", ""), "_", " "))
end

local function says(invoice, word)
  return string.find(status_of(invoice), word, 1, true) ~= nil
end

local function unpaid(invoice)
  return has(invoice.amountRemaining) and number(invoice.amountRemaining) > 0
end

-- Percent of the total that is paid, to one decimal; nil when the amounts do not tell.
local function paid_percent(invoice)
  if missing(invoice.total) or missing(invoice.amountRemaining) then
    return nil
  end
  local total, remaining = number(invoice.total), number(invoice.amountRemaining)
  if total <= 0 then
    return remaining <= 0 and 100 or 0
  end
  local percent = math.floor((total - remaining) * 1000 / total) / 10
  return math.tointeger(percent) or percent
end

-- The invoice's money as people read it.
local function amounts(invoice)
  return {
    unpaid = money(invoice.amountRemaining, invoice.currency),
    of = money(invoice.total, invoice.currency),
    percent = paid_percent(invoice),
    wanted = MIN_PAID_PERCENT,
  }
end

local function expected_currency(all)
  local currency = get(all, "facts.opportunity.CurrencyIsoCode")
  return has(currency) and currency or CURRENCY
end

return {
  domain = "invoice",
  subject = "facts.invoice",
  rules = {
    {
      id = "invoice.missing_id",
      severity = "violation",
      owner = "Finance",
      fires = function(invoice)
        return missing(invoice.id)
      end,
      message = "The account has no invoice, or one without an id",
      fix = "Issue the invoice in NetSuite",
    },
    {
      id = "invoice.voided",
      severity = "violation",
      owner = "Finance",
      fires = function(invoice)
        return invoice.voided == true or says(invoice, "void")
      end,
      message = "The invoice {tranId} is void (status {status})",
      fix = "Issue a new invoice, or end this onboarding",
    },
    {
      id = "invoice.cancelled",
      severity = "violation",
      owner = "Finance",
      fires = function(invoice)
        return invoice.cancelled == true or says(invoice, "cancel")
      end,
      message = "The invoice {tranId} is cancelled (status {status})",
      fix = "Issue a new invoice, or end this onboarding",
    },
    {
      id = "invoice.overdue",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        if not is_date(invoice.dueDate) or not unpaid(invoice) then
          return false
        end
        local days = days_between(invoice.dueDate, today())
        local values = amounts(invoice)
        return days > OVERDUE_AFTER_DAYS, { days = days, unpaid = values.unpaid, of = values.of }
      end,
      message = "The invoice {tranId} was due on {dueDate}, {days} days ago; {unpaid} of {of} is unpaid",
      fix = "Collect the invoice, or agree on a new due date with the customer",
    },
    {
      id = "invoice.pending",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        return says(invoice, "pending")
      end,
      message = "The invoice {tranId} is pending (status {status})",
      fix = "Approve the invoice in NetSuite",
    },
    {
      id = "invoice.unknown_status",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        local status = status_of(invoice)
        local told = says(invoice, "pending") or says(invoice, "void") or says(invoice, "cancel")
        return not told and KNOWN_STATUSES[status] ~= true
      end,
      message = "The invoice {tranId} has the status {status}, which says neither open nor paid",
      fix = "Look at the invoice in NetSuite and correct its status",
    },
    {
      id = "invoice.underpaid",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        local percent = paid_percent(invoice)
        return percent ~= nil and percent < MIN_PAID_PERCENT, amounts(invoice)
      end,
      message = "Only {percent} % of the invoice {tranId} is paid ({unpaid} of {of} is open); {wanted} % are wanted",
      fix = "Collect the payment, or approve the start without it",
    },
    {
      id = "invoice.partial_payment",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        local percent = paid_percent(invoice)
        return percent ~= nil and percent > 0 and percent < 100, amounts(invoice)
      end,
      message = "The invoice {tranId} is paid in part: {percent} %, {unpaid} of {of} is open",
      fix = "Ask the customer about the rest, and note what was agreed",
    },
    {
      id = "invoice.missing_amounts",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        return paid_percent(invoice) == nil
      end,
      message = "The invoice {tranId} does not tell what is paid (total {total}, remaining {amountRemaining})",
      fix = "Complete the invoice in NetSuite",
    },
    {
      id = "invoice.missing_due_date",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice)
        return not is_date(invoice.dueDate)
      end,
      message = "The invoice {tranId} has no due date",
      fix = "Enter the due date in NetSuite",
    },
    {
      id = "invoice.several_invoices",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice, all)
        local invoices = all.facts.invoices
        return has(invoices) and invoices > INVOICES_MAX, { invoices = invoices }
      end,
      message = "The account has {invoices} invoices; {tranId} was taken",
      fix = "Confirm which invoice belongs to this onboarding, and that the others do not stand in its way",
    },
    {
      id = "invoice.other_currency",
      severity = "warning",
      owner = "Finance",
      fires = function(invoice, all)
        local expected = expected_currency(all)
        return has(invoice.currency) and invoice.currency ~= expected, { expected = expected }
      end,
      message = "The invoice {tranId} is in {currency}, the deal in {expected}",
      fix = "Confirm the amount in the deal's currency",
    },
  },
}
