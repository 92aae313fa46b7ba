-- SPDX-License-Identifier: MIT
-- Opportunity: is the deal won, and is it known what was sold?
--
-- Input   facts.opportunity    Id, AccountId, StageName, Amount, CloseDate, ContractId, CurrencyIsoCode (may
--                              be absent: the org has one currency)
--         facts.opportunities  how many opportunities the account has
-- Example { Id = "006...", AccountId = "001...", StageName = "Negotiation", Amount = 60000, ... }
--         gives the violation opportunity.not_closed_won: BLOCK.

local WON_STAGE = "Closed Won"   -- the one stage that counts as won
local OPPORTUNITIES_MAX = 1      -- opportunities of an account; more, and nobody knows which one was sold
local CURRENCY = "USD"           -- ISO code; the tiers of tier.lua are priced in it

return {
  domain = "opportunity",
  subject = "facts.opportunity",
  rules = {
    {
      id = "opportunity.missing_id",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(opportunity)
        return missing(opportunity.Id)
      end,
      message = "The account has no opportunity, or one without an Id",
      fix = "Create the opportunity in Salesforce, or link it to the account",
    },
    {
      id = "opportunity.missing_account_id",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(opportunity)
        return missing(opportunity.AccountId)
      end,
      message = "The opportunity {Id} belongs to no account",
      fix = "Link the opportunity to the account in Salesforce",
    },
    {
      id = "opportunity.not_closed_won",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(opportunity)
        return opportunity.StageName ~= WON_STAGE, { wanted = WON_STAGE }
      end,
      message = "The opportunity {Id} is in stage {StageName}, not in {wanted}",
      fix = "Close the deal first; start the onboarding again when the stage is right",
    },
    {
      id = "opportunity.missing_amount",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity)
        return missing(opportunity.Amount)
      end,
      message = "The opportunity {Id} has no amount, so its tier cannot be told",
      fix = "Enter the amount of the deal in Salesforce",
    },
    {
      id = "opportunity.amount_not_positive",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity)
        return has(opportunity.Amount) and number(opportunity.Amount) <= 0
      end,
      message = "The opportunity {Id} has the amount {Amount}",
      fix = "Correct the amount of the deal in Salesforce, or confirm that nothing is paid",
    },
    {
      id = "opportunity.missing_close_date",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity)
        return missing(opportunity.CloseDate)
      end,
      message = "The opportunity {Id} has no close date",
      fix = "Enter the day on which the deal was closed",
    },
    {
      id = "opportunity.missing_contract_id",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity)
        return missing(opportunity.ContractId)
      end,
      message = "The opportunity {Id} names no contract",
      fix = "Link the contract to the opportunity in Salesforce",
    },
    {
      id = "opportunity.several_opportunities",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity, all)
        local opportunities = all.facts.opportunities
        return has(opportunities) and opportunities > OPPORTUNITIES_MAX, { opportunities = opportunities }
      end,
      message = "The account has {opportunities} opportunities; {Id} was taken (won ones first, then the latest)",
      fix = "Confirm which opportunity this onboarding is for",
    },
    {
      id = "opportunity.other_currency",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(opportunity)
        local currency = opportunity.CurrencyIsoCode
        return has(currency) and currency ~= CURRENCY, { expected = CURRENCY }
      end,
      message = "The opportunity {Id} is in {CurrencyIsoCode}; the tiers are priced in {expected}",
      fix = "Confirm the tier by hand: compare the amount with the tiers' prices",
    },
  },
}
