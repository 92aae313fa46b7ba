-- SPDX-License-Identifier: MIT
-- Account: is the customer's account in Salesforce complete and alive?
--
-- Input   facts.account   Id, Name, IsDeleted, BillingCountry, Industry, OwnerId
--         facts.accounts  how many accounts that are not deleted carry this account number
-- Example { Id = "001...", Name = "ACME Ltd", IsDeleted = false, BillingCountry = null, Industry = "Retail",
--           OwnerId = "005..." }  gives one warning, account.missing_billing_country: ESCALATE.

local ACCOUNTS_MAX = 1 -- accounts with the same number; more, and nobody knows which one is meant

return {
  domain = "account",
  subject = "facts.account",
  rules = {
    {
      id = "account.missing_id",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(account)
        return missing(account.Id)
      end,
      message = "The account has no Id (name: {Name})",
      fix = "Check the account number; restore or create the account in Salesforce",
    },
    {
      id = "account.missing_name",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(account)
        return missing(account.Name)
      end,
      message = "The account {Id} has no name",
      fix = "Enter the customer's name in Salesforce",
    },
    {
      id = "account.deleted",
      severity = "violation",
      owner = "Sales Ops",
      fires = function(account)
        return account.IsDeleted == true
      end,
      message = "The account {Name} ({Id}) is deleted in Salesforce",
      fix = "Restore the account from the recycle bin, or end this onboarding",
    },
    {
      id = "account.missing_billing_country",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(account)
        return missing(account.BillingCountry)
      end,
      message = "The account {Name} has no billing country",
      fix = "Enter the billing country in Salesforce",
    },
    {
      id = "account.missing_industry",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(account)
        return missing(account.Industry)
      end,
      message = "The account {Name} has no industry",
      fix = "Choose the industry in Salesforce",
    },
    {
      id = "account.missing_owner",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(account)
        return missing(account.OwnerId)
      end,
      message = "The account {Name} has no owner",
      fix = "Give the account to a customer success manager in Salesforce",
    },
    {
      id = "account.several_accounts",
      severity = "warning",
      owner = "Sales Ops",
      fires = function(account, all)
        local accounts = all.facts.accounts
        return has(accounts) and accounts > ACCOUNTS_MAX, { accounts = accounts }
      end,
      message = "{accounts} accounts in Salesforce carry this account number; {Name} ({Id}) was taken",
      fix = "Merge the accounts, or give each a number of its own",
    },
  },
}
